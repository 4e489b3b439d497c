"""What killed processes leave beside a run: found, named, completed or undone; and what is not theirs stays."""

from __future__ import annotations

import json
import re

import pandas as pd
import pytest
from typer.testing import CliRunner

import fractile as fr
from fractile.cli import app
from fractile.progress import no_progress
from fractile.studies.config import load_config
from fractile.studies.folder import free_target, new_run, read_manifest, resumable_run, unfinished_folder
from fractile.studies.league.run import lineage_run
from fractile.studies.replacing import is_whole, own_files, recover
from fractile.studies.resume import resume_run
from fractile.studies.train_environment import train_environment


def finished_run(target, text="old"):
    with new_run(target) as run:
        run.write_json("manifest.json", {"name": text, "kind": "study"})
        run.write_text("a.txt", text)
    return target


@pytest.fixture
def between(tmp_path):
    """Leave what a process leaves that is killed between the renames of an overwrite, and return the target."""
    target = finished_run(tmp_path / "run")
    (target / "mine.txt").write_text("mine")
    target.rename(tmp_path / ".run.0123abcd.old")
    finished_run(tmp_path / "new", "new").rename(unfinished_folder(target))
    return target


def test_a_run_between_two_renames_is_named_and_its_name_is_not_free(between):
    finish = r"run: a run was killed when it was to replace another one; finish it: fractile resume .*run"
    with pytest.raises(fr.InputError, match=finish):
        read_manifest(between)
    for command in (["report"], ["order", "--history", "h.csv", "--run"], ["validate", "--history", "h.csv", "--run"]):
        result = CliRunner().invoke(app, [*command, str(between)])
        assert result.exit_code == 2
        assert re.search(finish, result.stderr)
    assert free_target(between).name == "run-2"


def test_resume_completes_an_overwrite_and_says_so(between):
    result = CliRunner().invoke(app, ["resume", str(between), "--json"])
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["note"].endswith("was killed when it replaced an older run; this is completed")
    assert read_manifest(between)["name"] == "new"
    assert (between / "mine.txt").read_text() == "mine"
    assert [path.name for path in between.parent.iterdir()] == ["run"]
    again = CliRunner().invoke(app, ["resume", str(between)])
    assert (again.exit_code, "nothing to go on with" in again.stderr) == (2, True)


def test_the_next_command_on_the_folder_completes_it_first(between):
    result = CliRunner().invoke(app, ["study", "--out", str(between)])
    assert result.exit_code == 2
    assert "note: " in result.stderr
    assert "was killed when it replaced an older run; this is completed" in result.stderr
    assert "exists and is not empty" in result.stderr
    assert (read_manifest(between)["name"], (between / "mine.txt").read_text()) == ("new", "mine")


def test_without_a_whole_new_run_the_old_one_comes_back(between):
    (unfinished_folder(between) / "manifest.json").unlink()
    assert recover(between) == [f"{between}: another run was killed when it was to replace this one, which is back"]
    assert (read_manifest(between)["name"], (between / "mine.txt").read_text()) == ("old", "mine")


def test_what_is_not_ours_stays(tmp_path):
    theirs = [".run.0123abcd.old", ".run.0123abcd.partial", ".run.mine.old", ".run.mine.gone", ".other.0123abcd.gone"]
    for name in theirs:
        (tmp_path / name).mkdir()
        (tmp_path / name / "mine.txt").write_text("mine")
    (tmp_path / ".run.0123abcd.gone").write_text("a file")
    target = finished_run(tmp_path / "run")
    said = recover(target)
    assert len(said) == 1
    assert said[0].endswith(".run.0123abcd.old: does not list the files of a run, and stays as it is; move it away")
    assert all((tmp_path / name / "mine.txt").is_file() for name in theirs)
    assert (tmp_path / ".run.0123abcd.gone").is_file()


def test_a_file_of_the_users_that_finds_no_place_stays_and_is_named(tmp_path):
    target = finished_run(tmp_path / "run")
    (target / "notes").mkdir()
    (target / "notes" / "mine.txt").write_text("mine")
    with resumable_run(target, overwrite=True) as run:
        run.write_json("manifest.json", {"name": "new"})
        run.write_text("notes", "a file where the folder was")
    (old,) = tmp_path.glob(".run.*.old")
    assert (old / "notes" / "mine.txt").read_text() == "mine"
    assert recover(target) == [f"{old}: holds files of yours that find no place in {target}; move them away"]
    assert (old / "notes" / "mine.txt").read_text() == "mine"


def test_what_a_killed_report_or_order_left_in_a_run_is_not_taken_for_the_users_own(tmp_path):
    target = finished_run(tmp_path / "run")
    for name in (".0123abcd.a.txt", ".a.txt.lock", ".0123abcd.mine.txt", ".mine.txt.lock"):
        (target / name).write_text("")
    assert [path.name for path in own_files(target)] == [".0123abcd.mine.txt", ".mine.txt.lock"]


def test_a_folder_of_the_users_with_the_name_of_an_unfinished_run_stays(tmp_path):
    (tmp_path / ".run.partial").mkdir()
    (tmp_path / ".run.partial" / "mine.txt").write_text("mine")
    with pytest.raises(fr.InputError, match=r"has the name of an unfinished run, and is none \(it holds mine\.txt\)"):
        resumable_run(tmp_path / "run", overwrite=True).__enter__()
    assert (tmp_path / ".run.partial" / "mine.txt").read_text() == "mine"


def test_half_written_files_of_a_killed_run_do_not_become_files_of_the_resumed_one(tmp_path):
    with pytest.raises(KeyboardInterrupt), resumable_run(tmp_path / "run") as run:  # noqa: PT012
        run.write_json("manifest.json", {"name": "half"})
        (run.path / ".0123abcd.folds.parquet").write_text("half")
        raise KeyboardInterrupt
    with resumable_run(tmp_path / "run", resume=True):
        pass
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["manifest.json"]


def test_a_training_that_was_killed_before_its_last_rename_is_put_in_its_place(tmp_path, monkeypatch):
    """It was refused as finished, while its folder was nowhere."""
    monkeypatch.setattr("fractile.training.problem.DRAWN", 4000)

    def killed(path, target):
        raise SystemExit(9)

    given = {"policy": "newsvendor", "progress": no_progress}
    with monkeypatch.context() as patched:
        patched.setattr("fractile.studies.folder.publish", killed)
        with pytest.raises(SystemExit):
            train_environment("fractile/LostSales-v0", tmp_path / "run", **given)
    assert is_whole(unfinished_folder(tmp_path / "run"))
    with pytest.raises(fr.InputError, match=r"is whole, and has only to take its place: fractile resume"):
        train_environment("fractile/LostSales-v0", tmp_path / "run", resume=True, **given)
    found = resume_run(tmp_path / "run", progress=no_progress)
    assert found.kind == "finished"
    assert found.note.endswith("run: was killed when it was whole; it is in its place now")
    assert read_manifest(tmp_path / "run")["policy"] == "newsvendor"
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


@pytest.fixture
def league(tmp_path):
    """Interrupt a league after its first forecaster, and return its history."""
    history = tmp_path / "data" / "sales.csv"
    history.parent.mkdir()
    days = [str(day.date()) for day in pd.date_range("2022-01-03", periods=80, freq="W-MON")]
    rows = [f"{item},{day},{(7 * k * k + 3 * k) % 11}" for item in ("tea", "coffee") for k, day in enumerate(days)]
    history.write_text("\n".join(["item_id,date,sales", *rows]) + "\n")
    names = ["seasonal_naive", "croston"]
    config = load_config(None, {"data.history": history, "lineage.forecasters": names, "lineage.horizon": 4})

    def stop(message, share=None):
        if "croston" in message:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        lineage_run(config, tmp_path / "run", command="fractile lineage", progress=stop)
    return history


@pytest.mark.parametrize("changed", ["history", "config"])
def test_a_league_is_not_resumed_on_what_was_changed(changed, league, tmp_path):
    path = league if changed == "history" else tmp_path / ".run.partial" / "config.toml"
    path.write_text(path.read_text().replace("tea", "jam") if changed == "history" else path.read_text() + "\n")
    with pytest.raises(fr.InputError, match=rf"{re.escape(str(path))}: was changed.*; begin anew: .*--overwrite"):
        resume_run(tmp_path / "run", progress=no_progress)
