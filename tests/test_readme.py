"""What the README shows is what happens."""

from __future__ import annotations

import re
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import gymnasium
import pytest

import fractile as fr
from fractile.cli import app

TEXT = (Path(fr.__file__).parent / "README.md").read_text(encoding="utf-8")
CODE = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
PRINTED = re.findall(r"```\n(policy .*?)```", TEXT, re.DOTALL)


def printed_by(code):
    output = StringIO()
    with redirect_stdout(output):
        exec(compile(code, "README.md", "exec"), {})
    return output.getvalue()


def test_the_first_example_prints_its_table():
    assert printed_by(CODE[0]).splitlines() == PRINTED[0].splitlines()


def test_the_last_example_runs():
    assert printed_by(CODE[2]) == ""


def test_the_agent_of_the_readme_is_trained_compared_kept_and_orders(tmp_path, monkeypatch):
    """Twelve lines; here with few items and steps."""
    assert len([line for line in CODE[1].splitlines() if line.strip()]) <= 12
    monkeypatch.chdir(tmp_path)
    shorter = CODE[1].replace("items=40", "items=5").replace("learn(40_000)", "learn(320)")
    assert shorter.count("items=5") == shorter.count("learn(320)") == 1
    printed = printed_by(shorter)
    assert "sac" in printed
    assert "order_up_to" in printed
    assert fr.SB3Policy.load("runs/sac").algorithm == "sac"


def test_there_are_no_other_examples():
    assert (len(CODE), len(PRINTED)) == (3, 1)


@pytest.mark.parametrize("name", sorted(set(re.findall(r"fractile/\w+-v\d", TEXT))))
def test_environments_that_are_named_exist(name):
    assert name in gymnasium.registry


@pytest.mark.parametrize("line", re.findall(r"^fractile (\w+) +(--.*?)(?:\s*#.*)?$", TEXT, re.MULTILINE))
def test_options_that_are_named_exist(line):
    import typer

    command, options = line
    known = {flag for p in typer.main.get_command(app).commands[command].params for flag in p.opts}
    assert set(re.findall(r"--[a-z-]+", options)) <= known
