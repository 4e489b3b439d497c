"""Progress: stages counted and timed, lines in a log file, a bar on a terminal, nothing where it is not wanted."""

from __future__ import annotations

import io
import re
import time
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from fractile.cli import app
from fractile.progress import Stages, StageStatus, begin_stage, no_progress, plan_stages, portion
from fractile.studies.commands.stages import duration, left_words, show_bar, write_lines

RUNNER = CliRunner()


class Clock:
    """A clock that is set by hand."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def counted():
    """Return stages, their clock, and the statuses of those that ended."""
    clock, ended = Clock(), []
    return Stages(ended.append, clock), clock, ended


def test_stages_are_counted_and_timed_by_their_kind(counted):
    stages, clock, ended = counted
    stages("reading")
    plan_stages(stages, ["fit", "fit", "check"])
    begin_stage(stages, "fitting, fold 1 of 2", "fit")
    clock.now = 10.0
    begin_stage(stages, "fitting, fold 2 of 2", "fit")
    first = ended[0]
    assert (first.number, first.total, first.name, first.elapsed) == (1, 3, "fitting, fold 1 of 2", 10.0)
    assert (first.left, first.at_least) == (10.0, True)  # the second fit; of the check nothing is known
    clock.now = 14.0
    status = stages.status()
    assert (status.number, status.left, status.at_least) == (2, 6.0, True)
    stages("half", 0.5)  # it is slower than the first one
    assert stages.status().left == 4.0
    clock.now = 20.0
    assert stages.status().done == pytest.approx((1 + 0.5) / 3)
    begin_stage(stages, "check")
    stages.end()
    assert [status.number for status in ended] == [1, 2, 3]
    assert (ended[-1].left, ended[-1].at_least) == (0.0, False)


def test_nothing_is_said_of_the_time_that_is_left_before_anything_was_measured(counted):
    stages, clock, _ = counted
    stages.plan(["fit", "check"])
    stages.begin("fit", "fit")
    clock.now = 5.0
    assert (stages.status().left, left_words(stages.status())) == (None, "")


def test_stages_that_are_left_out_are_passed_over_and_unforeseen_ones_are_added(counted):
    stages, _, _ = counted
    stages.plan(["a", "b", "c"])
    stages.begin("c", "c")
    assert (stages.status().number, stages.status().total) == (3, 3)
    stages.begin("d", "d")
    assert (stages.status().number, stages.status().total) == (4, 4)


def test_a_stage_that_was_kept_says_nothing_of_the_time_of_others(counted):
    stages, clock, ended = counted
    stages.plan(["fit", "fit"])
    begin_stage(stages, "fold 1", "fit", kept=True)
    clock.now = 0.1
    stages.end()
    assert ended[0].name == "fold 1 (kept)"
    assert (ended[0].left, ended[0].at_least) == (None, True)


def test_a_callback_that_counts_nothing_is_called_with_the_stage():
    said = []

    def progress(message, share=None):
        said.append((message, share))

    plan_stages(progress, ["fit"])
    begin_stage(progress, "fitting", "fit")
    portion(progress, 0.5, 1.0)("half of the second half", 0.5)
    portion(progress, 0.5, 1.0)("nothing known")
    assert said == [("fitting", None), ("half of the second half", 0.75), ("nothing known", None)]


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.0, "0 s"), (89.4, "89 s"), (90.0, "2 min"), (5399.0, "90 min"), (9000.0, "2.5 h")]
)
def test_durations_are_said_as_people_say_them(seconds, said):
    assert duration(seconds) == said


def test_a_log_has_a_line_a_stage_and_no_bar():
    stream = io.StringIO()
    with write_lines(stream) as progress:
        progress("reading")
        plan_stages(progress, ["fit", "check"])
        begin_stage(progress, "fitting", "fit")
        begin_stage(progress, "check")
    assert stream.getvalue().splitlines() == ["[1/2] fitting ... 0 s", "[2/2] check ... 0 s"]


def test_a_long_stage_is_heard_of_in_a_log_meanwhile():
    stream = io.StringIO()
    with write_lines(stream, every=0.02) as progress:
        plan_stages(progress, ["fit", "check"])
        begin_stage(progress, "fitting", "fit")
        progress("step 3 of 4", 0.75)
        until = time.monotonic() + 5.0
        while "so far" not in stream.getvalue() and time.monotonic() < until:
            time.sleep(0.005)
    assert re.match(r"\[1/2\] fitting: step 3 of 4, 75 % \.\.\. 0 s so far\n", stream.getvalue())


def test_work_that_announces_no_stages_is_silent_in_a_log():
    stream = io.StringIO()
    with write_lines(stream) as progress:
        progress("ordering")
    assert stream.getvalue() == ""


def test_a_terminal_shows_the_stage_on_a_bar_and_clears_it():
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    stream = Terminal()
    with show_bar(stream) as progress:
        plan_stages(progress, ["fit", "check"])
        begin_stage(progress, "fitting [x]", "fit")
        until = time.monotonic() + 10.0
        while "[1/2] fitting [x]" not in stream.getvalue() and time.monotonic() < until:
            time.sleep(0.02)
    assert "[1/2] fitting [x]" in stream.getvalue()
    assert "\x1b[2K" in stream.getvalue()[-40:]


FORECAST = ["lineage", "--forecasters", "seasonal_naive,croston", "--horizon", "4", "--origins", "1", "--quick"]


@pytest.mark.parametrize("flag", [None, "--quiet", "--json"])
def test_a_command_reports_its_stages_unless_it_is_quiet(flag, tmp_path, monkeypatch):
    monkeypatch.setattr("fractile.studies.league.page.build_lineage_page", lambda folder: None)
    result = RUNNER.invoke(app, [*FORECAST, "--out", str(tmp_path / "run"), *([flag] if flag else [])])
    assert result.exit_code == 0, result.output
    lines = result.stderr.splitlines()
    if flag:
        assert lines == []
        return
    assert [line.partition(" ...")[0] for line in lines] == [
        "[1/4] league: seasonal_naive",
        "[2/4] league: croston",
        "[3/4] league: true quantiles",
        "[4/4] drawing",
    ]


def test_every_command_can_be_quiet():
    from typer.main import get_command

    commands = get_command(app).commands
    assert commands
    for name, command in commands.items():
        assert "--quiet" in {flag for option in command.params for flag in option.opts}, name


def test_no_progress_takes_what_progress_takes():
    begin_stage(no_progress, "fitting")
    no_progress("step", 0.5)


def test_less_than_a_second_is_not_worth_saying():
    status = StageStatus(1, 3, "fitting", "", 0.5, 1.0, 0.9, at_least=True)
    assert left_words(status) == left_words(replace(status, left=0.0, at_least=False)) == ""
    assert left_words(replace(status, left=1.0)) == "at least 1 s left"
