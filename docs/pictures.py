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
from fractile.envs.pictures import (
    AMBER,
    BLUE,
    GREY,
    INK,
    PALE,
    PURPLE,
    RED,
    SKY,
    TEAL,
    Episode,
    align,
    draw,
    episode_of,
    pixels,
)

FOLDER = Path(__file__).parent / "pictures"
PERIODS, SEED = 40, 1
OPTIONS: dict[str, dict[str, Any]] = {"forecast_driven": {"item": 8}}
ACTIONS = {"dual_sourcing": (-0.4, 0.0)}
"""A regular order below the newsvendor's, so that there is something to expedite."""
SHORTER = {"shared_capacity": 32}
"""Periods of a moving picture whose frames hold so much that forty of them make a large file."""
SMALLER = (720, 450)
"""Pixels of the moving picture; the still one has 960 × 600."""
COLOURS = 64
"""Colours of the moving picture."""
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
    # Lines and bars keep their colours, as do the most frequent blends; others go to the nearest.
    dots = np.concatenate([np.asarray(image).reshape(-1, 3) for image in (images[-1], images[len(images) // 2])])
    colours, counts = np.unique(dots, axis=0, return_counts=True)
    palette = Image.new("P", (1, 1))
    drawn = [bytes.fromhex(colour[1:]) for colour in (INK, GREY, PALE, BLUE, AMBER, TEAL, RED, PURPLE, SKY)]
    frequent = colours[np.argsort(-counts, kind="stable")][: COLOURS - len(drawn)]
    chosen = np.concatenate([np.array([list(colour) for colour in drawn], dtype=np.uint8), frequent])
    palette.putpalette(np.resize(chosen, (256, 3)).tobytes())
    frames = [image.quantize(palette=palette, dither=Image.Dither.NONE) for image in small]
    durations = [*[FRAME_MILLISECONDS] * (len(frames) - 1), LAST_MILLISECONDS]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=durations, loop=0, optimize=True)


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
        animate(images[1:][: SHORTER.get(system, PERIODS)], FOLDER / f"{system}.gif")
        print(system, *(f"{path.stat().st_size // 1000} kB" for path in sorted(FOLDER.glob(f"{system}.*"))))


if __name__ == "__main__":
    main(sys.argv[1:])
