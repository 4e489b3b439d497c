"""What the README shows is what happens."""

from __future__ import annotations

import re
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import gymnasium
import pandas as pd
import pytest
from typer.testing import CliRunner

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
    assert printed_by(CODE[1]) == ""


def test_there_are_no_other_examples():
    assert (len(CODE), len(PRINTED)) == (2, 1)


def test_it_fits_on_a_few_screens():
    assert len(TEXT.splitlines()) <= 150


def test_the_three_commands_turn_a_german_csv_into_orders(tmp_path, monkeypatch):
    """As they stand, with a forecaster that is fitted quickly."""
    monkeypatch.chdir(tmp_path)
    head = re.search(r"```\n(Artikel;.*?)```", TEXT, re.DOTALL).group(1).splitlines()[0]
    weeks = pd.date_range("2024-01-01", periods=60, freq="W-MON")
    rows = [f"{item};{week:%d.%m.%Y};{k % 4 + 2};3,50" for item in ("Müsli", "Öl") for k, week in enumerate(weeks)]
    Path("german.csv").write_bytes("\n".join([head, *rows, ""]).encode("cp1252"))
    lines = re.search(r"Three commands.*?```\n(.*?)```", TEXT, re.DOTALL).group(1).splitlines()
    assert len(lines) == 3
    for line in lines:
        more = ["--forecaster", "seasonal_naive"] if " train " in line else []
        done = CliRunner().invoke(app, [*line.split()[1:], *more], catch_exceptions=False)
        assert done.exit_code == 0, done.output
    orders = pd.read_csv("orders.csv")
    assert list(orders["item_id"]) == ["Müsli", "Öl"]
    assert (orders["order"] > 0).all()


@pytest.mark.parametrize("name", sorted(set(re.findall(r"fractile/\w+-v\d", TEXT))))
def test_environments_that_are_named_exist(name):
    assert name in gymnasium.registry


@pytest.mark.parametrize("line", re.findall(r"^fractile (\w+) +(--.*?)(?:\s*#.*)?$", TEXT, re.MULTILINE))
def test_options_that_are_named_exist(line):
    import typer

    command, options = line
    known = {flag for p in typer.main.get_command(app).commands[command].params for flag in p.opts}
    assert set(re.findall(r"--[a-z-]+", options)) <= known
