"""Make the pictures of the systems: `python docs/pictures.py [SYSTEM …]` writes docs/pictures/<system>.png and .gif.

Every system plays one episode with a fixed seed and the newsvendor's action, which is zero, two suppliers aside. The
still picture is the last one of the moving picture.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from PIL import Image

import fractile as fr  # noqa: F401  # registers the environments
from fractile.envs.gym.inventory_env import play
from fractile.envs.gym.registration import ENVIRONMENTS
from fractile.envs.pictures.marks import (
    AMBER,
    BLUE,
    FAN_DEPTHS,
    FRESHEST,
    INK,
    OLDEST,
    PALE,
    PURPLE,
    RED,
    SKY,
    TEAL,
    tint,
)
from fractile.envs.pictures.picture import align, draw, pixels
from fractile.envs.pictures.series import Episode, episode_of

FOLDER = Path(__file__).parent / "pictures"
PERIODS, SEED = 40, 1
OPTIONS: dict[str, dict[str, Any]] = {"forecast_driven": {"item": 8}}
ACTIONS = {"dual_sourcing": (-0.4, 0.0)}
"""A regular order below the newsvendor's, so that there is something to expedite."""
SMALLER = (720, 450)
"""Pixels of the moving picture; the still one has 960 × 600."""
COLOURS, APART = 32, 12
"""Colours of the moving picture, and how far they are from each other, of 255."""
LINES = ("#ffffff", INK, BLUE, AMBER, TEAL, RED, PURPLE, SKY)
AREAS = {BLUE: FAN_DEPTHS, TEAL: (0.18, FRESHEST, OLDEST), PALE: (0.75,), RED: (0.75,), PURPLE: (0.75,)}
"""Colours of a drawing, and how deep they are where they fill an area."""
FRAME_MILLISECONDS, LAST_MILLISECONDS = 350, 3000


def played(id_: str, periods: int = PERIODS, seed: int = SEED) -> list[Episode]:
    """Return what there is to see of an episode before each period, and after the last one."""
    system = ENVIRONMENTS[id_]
    env: Any = gym.make(id_, **OPTIONS.get(system, {})).unwrapped
    env.reset(seed=seed)
    batch, history = env.batch, []
    action = np.broadcast_to(ACTIONS.get(system, 0.0), env.action_space.shape)
    seen = [episode_of(batch, history)]
    while len(seen) <= min(periods, batch.periods):
        demand = batch.scenario.demand[0, batch.period]
        history.append((demand, play(batch, action)))
        seen.append(episode_of(batch, history))
    return seen


def animate(images: list[Image.Image], path: Path) -> None:
    """Write images as a moving picture in few colours, the same for all."""
    small = [image.resize(SMALLER, Image.Resampling.LANCZOS) for image in images]
    palette = palette_of([small[-1], small[len(small) // 2]])
    frames = [image.quantize(palette=palette, dither=Image.Dither.NONE) for image in small]
    durations = [*[FRAME_MILLISECONDS] * (len(frames) - 1), LAST_MILLISECONDS]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=durations, loop=0, optimize=True)


def palette_of(images: list[Image.Image]) -> Image.Image:
    """Return the colours of a drawing, and the most frequent others of these images that can be told from them."""
    dots = np.concatenate([np.asarray(image).reshape(-1, 3) for image in images])
    colours, counts = np.unique(dots.astype(np.int64) @ [65536, 256, 1], return_counts=True)
    drawn = [(colour, 1.0) for colour in LINES] + [(colour, depth) for colour in AREAS for depth in AREAS[colour]]
    chosen = [np.rint(255.0 * np.array(tint(colour, depth))) for colour, depth in drawn]
    for colour in colours[np.argsort(-counts, kind="stable")]:
        found = colour // [65536, 256, 1] % 256
        if len(chosen) < COLOURS and min(np.abs(found - other).max() for other in chosen) >= APART:
            chosen.append(found)
    palette = Image.new("P", (1, 1))
    palette.putpalette(np.resize(np.array(chosen, dtype=np.uint8), (256, 3)).tobytes())
    return palette


def main(names: list[str]) -> None:
    """Make the pictures of the systems that are named, or of all."""
    FOLDER.mkdir(exist_ok=True)
    for id_, system in ENVIRONMENTS.items():
        if names and system not in names:
            continue
        figures = [draw(episode) for episode in played(id_)]
        align(figures)
        images = [Image.fromarray(pixels(figure)) for figure in figures]
        images[-1].quantize(256, dither=Image.Dither.NONE).save(FOLDER / f"{system}.png", optimize=True)
        animate(images[1:], FOLDER / f"{system}.gif")
        print(system, *(f"{path.stat().st_size // 1000} kB" for path in sorted(FOLDER.glob(f"{system}.*"))))


if __name__ == "__main__":
    main(sys.argv[1:])
