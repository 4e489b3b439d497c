"""What the pages of documentation show is what happens, and what they name exists."""

from __future__ import annotations

import re
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import gymnasium
import pytest
from PIL import Image

import fractile as fr
from fractile.envs.gym.catalogue import SYSTEMS
from fractile.envs.gym.registration import ENVIRONMENTS

FOLDER = Path(fr.__file__).parent / "docs"
TEXT = (FOLDER / "systems.md").read_text(encoding="utf-8")
HEADINGS = re.findall(r"^## (.*)$", TEXT, re.MULTILINE)
EXAMPLES = {
    heading: re.search(r"```python\n(.*?)```\n\n```\n(.*?)```", section, re.DOTALL)
    for heading, section in zip(HEADINGS, re.split(r"^## .*$", TEXT, flags=re.MULTILINE)[1:], strict=True)
}


@pytest.mark.parametrize("heading", [heading for heading, found in EXAMPLES.items() if found])
def test_an_example_prints_what_it_shows(heading):
    code, shown = EXAMPLES[heading].groups()
    output = StringIO()
    with redirect_stdout(output):
        exec(compile(code, f"systems.md, {heading}", "exec"), {})
    assert output.getvalue() == shown


def test_all_code_is_an_example_that_prints():
    assert TEXT.count("```python") == sum(found is not None for found in EXAMPLES.values())


def test_every_environment_has_its_section_its_picture_and_nothing_is_named_that_is_not():
    assert set(re.findall(r"fractile/\w+-v\d", TEXT)) == set(ENVIRONMENTS) <= set(gymnasium.registry)
    assert sorted(re.findall(r"!\[.*?\]\(pictures/(\w+)\.gif\)", TEXT)) == sorted(ENVIRONMENTS.values())


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\((?!http)(.*?)\)", TEXT))))
def test_links_lead_somewhere(link):
    anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in HEADINGS}
    assert link[1:] in anchors if link.startswith("#") else (FOLDER / link).is_file()


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`fr\.(\w+)", TEXT))))
def test_public_names_exist(name):
    assert name in fr.__all__


@pytest.mark.parametrize("id_", ENVIRONMENTS)
def test_shapes_that_are_named_are_those_of_the_environment(id_):
    (heading,) = re.findall(rf"\[`{re.escape(id_)}`\]\(#([\w-]+)\)", TEXT)
    section = re.search(rf"^## {heading.replace('-', '.')}\n(.*?)^## ", TEXT, re.M | re.S | re.I).group(1)
    observation, action = re.search(r"Box\(float32, \((.*?),\)\).*?Box\(−1, 1, \((\d+),\)\)", section).groups()
    env = gymnasium.make(id_)
    slots = env.unwrapped.batch.source.slots
    assert eval(observation, {"slots": slots}) == env.observation_space.shape[0]
    assert int(action) == env.action_space.shape[0]


@pytest.mark.parametrize("system", SYSTEMS)
def test_parameters_that_are_named_are_taken(system):
    section = re.search(rf"pictures/{system}\.png\) · parameters: (.*?)\n\n", TEXT, re.S).group(1)
    named = set(re.findall(r"`(\w+)`", section)) - {"forecast", "forecaster", "panel", "mode", "item"}
    general = TEXT.partition("## Parameters")[2].partition("## Demand models")[0]
    kind = r"\*\*Of networks\*\*(.*?)\. A network" if "of networks" in section else r"\*\*Of items\*\*(.*?)\*\*Of"
    rows = re.search(kind, general, re.S).group(1)
    cells = re.findall(r"^\| (`.*?) \|", rows, re.M) or [rows]
    named |= {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}
    options = set(SYSTEMS[system].options)
    assert named <= options
    # Chains and distribution systems make holding costs out of arguments of their own.
    assert options - named <= {"holding_cost"}


@pytest.mark.parametrize("system", SYSTEMS)
def test_pictures_are_of_the_right_size(system):
    still, moving = (FOLDER / "pictures" / f"{system}.{suffix}" for suffix in ("png", "gif"))
    with Image.open(still) as image:
        assert image.size == (960, 600)
    with Image.open(moving) as image:
        assert image.n_frames <= 40
    assert moving.stat().st_size < 300_000
    assert still.stat().st_size < 100_000
