"""Run folders appear whole or not at all; output files are replaced in one go."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fractile import InputError
from fractile.parts import sha256
from fractile.studies import folder
from fractile.studies.folder import (
    find_resumable,
    free_target,
    manifest,
    new_run,
    own_files,
    read_manifest,
    replace_file,
    resumable_run,
    write_frame,
)
from fractile.studies.places import check_not_input


def tree(path):
    return sorted(str(p.relative_to(path)) for p in path.rglob("*"))


def finished_run(target, text="new"):
    with new_run(target) as run:
        run.write_json("manifest.json", {"name": text})
    return target


def test_a_run_appears_at_success_only(tmp_path):
    target = tmp_path / "runs" / "first"
    with new_run(target) as run:
        run.write_text("a.txt", "a")
        assert not target.parent.exists()
        assert run.path.parent == tmp_path
        assert run.target == target
    assert tree(tmp_path) == ["runs", "runs/first", "runs/first/a.txt"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_an_interrupted_run_leaves_nothing(tmp_path, error):
    with pytest.raises(error), new_run(tmp_path / "runs" / "first") as run:  # noqa: PT012
        run.write_text("a.txt", "a")
        raise error
    assert tree(tmp_path) == []


def test_a_target_that_is_not_empty_is_refused(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match=r"run: exists and is not empty; give another --out, or --overwrite"):
        new_run(tmp_path / "run").__enter__()
    assert tree(tmp_path) == ["run", "run/mine.txt"]


def test_an_empty_target_is_used(tmp_path):
    (tmp_path / "run").mkdir()
    finished_run(tmp_path / "run")
    assert tree(tmp_path) == ["run", "run/manifest.json"]


@pytest.mark.parametrize("below", ["file", "file/deeper/run"])
def test_a_target_at_or_below_a_file_is_refused(tmp_path, below):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match="is a file"):
        new_run(tmp_path / below).__enter__()
    assert tree(tmp_path) == ["file"]


def test_overwriting_replaces_a_run_folder_whole(tmp_path):
    target = finished_run(tmp_path / "run", "old")
    with new_run(target, overwrite=True) as run:
        run.write_json("manifest.json", {"name": "new"})
        assert read_manifest(target)["name"] == "old"
    assert tree(tmp_path) == ["run", "run/manifest.json"]
    assert read_manifest(target)["name"] == "new"


def test_overwriting_keeps_the_users_own_files(tmp_path):
    target = tmp_path / "run"
    with new_run(target) as run:
        run.write_json("manifest.json", {"name": "old"})
        run.write_text("models/a.txt", "old")
        run.write_text("gone.txt", "old")
    (target / "models" / "mine.txt").write_text("mine")
    (target / "notes").mkdir()
    (target / "notes" / "a.txt").write_text("mine")
    (target / "new.txt").write_text("mine")
    (target / "link").symlink_to(tmp_path)
    with new_run(target, overwrite=True) as run:
        run.write_json("manifest.json", {"name": "new"})
        run.write_text("new.txt", "new")
    kept = ["link", "manifest.json", "models", "models/mine.txt", "new-2.txt", "new.txt", "notes", "notes/a.txt"]
    assert sorted(str(p.relative_to(target)) for p in target.glob("**/*")) == kept
    assert (target / "new.txt").read_text() == "new"
    assert (target / "new-2.txt").read_text() == "mine"
    assert read_manifest(target)["files"] == ["manifest.json", "new.txt"]
    assert own_files(target) == [Path("link"), Path("models/mine.txt"), Path("new-2.txt"), Path("notes/a.txt")]
    assert [p.name for p in tmp_path.iterdir()] == ["run"]


def test_a_link_to_a_run_folder_stays_one(tmp_path):
    target = finished_run(tmp_path / "real", "old")
    (target / "mine.txt").write_text("mine")
    (tmp_path / "link").symlink_to(target)
    with new_run(tmp_path / "link", overwrite=True) as run:
        run.write_json("manifest.json", {"name": "new"})
    assert tree(tmp_path) == ["link", "real", "real/manifest.json", "real/mine.txt"]
    assert (tmp_path / "link").is_symlink()
    assert read_manifest(target)["name"] == "new"


def test_continuing_keeps_the_users_own_files_apart(tmp_path):
    target = finished_run(tmp_path / "league", "old")
    (target / "mine.txt").write_text("mine")
    interrupt(target, resume=True)
    with resumable_run(target, resume=True):
        pass
    assert (target / "mine.txt").read_text() == "mine"
    assert own_files(target) == [Path("mine.txt")]


@pytest.mark.parametrize("text", ['{"name": "theirs"}', "[]", "{"])
def test_a_folder_whose_manifest_lists_no_files_is_not_overwritten(tmp_path, text):
    target = tmp_path / "run"
    target.mkdir()
    (target / "manifest.json").write_text(text)
    with pytest.raises(InputError, match=r"does not list the files of the run.*give another --out"):
        new_run(target, overwrite=True).__enter__()
    assert (target / "manifest.json").read_text() == text


def test_overwriting_that_fails_keeps_the_old_run(tmp_path):
    target = finished_run(tmp_path / "run", "old")
    with pytest.raises(RuntimeError), new_run(target, overwrite=True):
        raise RuntimeError
    assert read_manifest(target)["name"] == "old"
    assert tree(tmp_path) == ["run", "run/manifest.json"]


def test_a_rename_that_fails_brings_the_old_run_back(tmp_path, monkeypatch):
    target = finished_run(tmp_path / "run", "old")
    rename = Path.rename

    def failing(path, to):
        if path.suffix == ".new":
            raise OSError("no space")
        return rename(path, to)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(OSError, match="no space"), new_run(target, overwrite=True) as run:
        run.write_json("manifest.json", {"name": "new"})
    assert read_manifest(target)["name"] == "old"
    assert tree(tmp_path) == ["run", "run/manifest.json"]


def test_only_run_folders_are_overwritten(tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="is not a run folder"):
        new_run(tmp_path / "home", overwrite=True).__enter__()
    assert tree(tmp_path) == ["home", "home/mine.txt"]


def test_a_target_that_was_taken_meanwhile_is_kept(tmp_path):
    target = tmp_path / "run"
    with pytest.raises(InputError, match="exists and is not empty"), new_run(target):  # noqa: PT012
        target.mkdir()
        (target / "theirs.txt").write_text("theirs")
    assert tree(tmp_path) == ["run", "run/theirs.txt"]


def interrupt(target, text="half", **how):
    """Begin a resumable run that writes a file and is then cut short."""
    with pytest.raises(KeyboardInterrupt), resumable_run(target, **how) as run:  # noqa: PT012
        run.write_json("manifest.json", {"name": text})
        run.write_text(f"{text}.txt", text)
        raise KeyboardInterrupt


def test_an_interrupted_resumable_run_is_continued(tmp_path):
    target = tmp_path / "runs" / "league"
    assert find_resumable(target) is None
    interrupt(target)
    assert not target.exists()
    assert find_resumable(target) == tmp_path / "runs" / ".league.partial"
    with resumable_run(target, resume=True) as run:
        assert (run.path / "half.txt").read_text() == "half"
        run.write_json("manifest.json", {"name": "whole"})
    assert tree(tmp_path / "runs") == ["league", "league/half.txt", "league/manifest.json"]
    assert find_resumable(target) == target


def test_a_finished_run_is_continued_in_a_copy(tmp_path):
    target = finished_run(tmp_path / "league", "old")
    interrupt(target, resume=True)
    assert read_manifest(target)["name"] == "old"
    assert tree(target) == ["manifest.json"]
    with resumable_run(target, resume=True):
        pass
    assert tree(tmp_path) == ["league", "league/half.txt", "league/manifest.json"]


def test_an_unfinished_run_is_neither_forgotten_nor_mixed_up(tmp_path):
    target = tmp_path / "league"
    interrupt(target)
    with pytest.raises(
        InputError,
        match=r"an interrupted run of it is kept; go on with it: fractile resume .*; or begin anew: .* --overwrite",
    ):
        resumable_run(target).__enter__()
    assert free_target(target) == tmp_path / "league-2"
    with resumable_run(target, overwrite=True) as run:
        assert tree(run.path) == []
        run.write_json("manifest.json", {})
    assert tree(tmp_path) == ["league", "league/manifest.json"]


def test_overwriting_resumably_keeps_the_old_run_until_the_new_one_is_whole(tmp_path):
    target = finished_run(tmp_path / "league", "old")
    with pytest.raises(InputError, match="exists and is not empty"):
        resumable_run(target).__enter__()
    interrupt(target, overwrite=True)
    assert read_manifest(target)["name"] == "old"
    with resumable_run(target, resume=True) as run:
        run.write_json("manifest.json", {"name": "new"})
    assert read_manifest(target)["name"] == "new"
    assert tree(tmp_path) == ["league", "league/half.txt", "league/manifest.json"]


def test_only_run_folders_are_continued(tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="is not a run folder"):
        resumable_run(tmp_path / "home", resume=True).__enter__()
    (tmp_path / ".league.partial").mkdir()  # of a run that was cut short before its manifest
    with resumable_run(tmp_path / "league", resume=True) as run:
        run.write_json("manifest.json", {})
    assert tree(tmp_path) == ["home", "home/mine.txt", "league", "league/manifest.json"]


def test_free_target_counts_on(tmp_path):
    assert free_target(tmp_path / "a") == tmp_path / "a"
    (tmp_path / "a").mkdir()
    (tmp_path / "a-2").write_text("")
    assert free_target(tmp_path / "a") == tmp_path / "a-3"


def test_files_of_a_run_read_back(tmp_path):
    frame = pd.DataFrame({"item_id": ["007", "é"], "order": [1, 2]})
    with new_run(tmp_path / "run") as run:
        run.write_frame("orders.parquet", frame)
        run.write_frame("orders.csv", frame)
        run.append_metrics({"step": 1, "loss": np.float32(0.5)})
        run.append_metrics({"step": 2, "loss": np.nan})
    read = pd.read_parquet(tmp_path / "run" / "orders.parquet")
    pd.testing.assert_frame_equal(read, frame)
    assert (tmp_path / "run" / "orders.csv").read_bytes() == "item_id,order\n007,1\né,2\n".encode()
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [{"step": 1, "loss": 0.5}, {"step": 2, "loss": None}]


def test_json_is_strict_and_plain(tmp_path):
    value = {
        "array": np.array([[1.0, np.inf]]),
        "count": np.int64(3),
        "when": pd.Timestamp("2024-01-02"),
        "path": Path("a"),
        1: (True, None, float("nan")),
    }
    with new_run(tmp_path / "run") as run:
        path = run.write_json("value.json", value)
        read = json.loads(path.read_text(), parse_constant=pytest.fail)
    expected = {
        "array": [[1.0, None]],
        "count": 3,
        "when": "2024-01-02T00:00:00",
        "path": "a",
        "1": [True, None, None],
    }
    assert read == expected


def test_replacing_a_file_that_fails_keeps_the_old_one(tmp_path):
    path = tmp_path / "orders.csv"
    path.write_text("old")

    def failing(partial):
        partial.write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        replace_file(path, failing)
    assert path.read_text() == "old"
    assert tree(tmp_path) == ["orders.csv"]


def test_a_frame_can_only_be_csv_or_parquet(tmp_path):
    frame = pd.DataFrame({"a": [1]})
    with pytest.raises(InputError, match=r"a\.xlsx: must end in \.csv or \.parquet"):
        write_frame(tmp_path / "a.xlsx", frame)
    (tmp_path / "a.csv").mkdir()
    with pytest.raises(InputError, match="is a folder"):
        write_frame(tmp_path / "a.csv", frame)
    assert write_frame(tmp_path / "deep" / "b.csv", frame).read_text() == "a\n1\n"


def test_the_hash_is_of_the_bytes(tmp_path):
    (tmp_path / "a").write_bytes(b"\x00\r\n")
    assert sha256(tmp_path / "a") == hashlib.sha256(b"\x00\r\n").hexdigest()


def test_a_manifest_says_what_a_run_was_made_from():
    found = manifest("vn2", command="fractile study", seed=3, data={"history": "abc"})
    assert (found["name"], found["command"], found["seed"], found["status"]) == (
        "vn2",
        "fractile study",
        3,
        "complete",
    )
    assert found["data"] == {"history": "abc"}
    assert {"python", "fractile", "numpy", "torch"} <= set(found["versions"])
    age = datetime.now(UTC) - datetime.fromisoformat(found["created"])
    assert 0 <= age.total_seconds() < 60


def test_a_package_that_is_not_installed_is_left_out(monkeypatch):
    monkeypatch.setattr(folder, "PACKAGES", ("numpy", "no-such-package-of-ours"))
    assert set(manifest("a", command="", seed=0)["versions"]) == {"python", "numpy"}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("gone", None, "there is no such run folder"),
        ("file", "x", "is a file; give a run folder"),
        ("empty", {}, "is not a run folder: it holds no manifest.json"),
        ("broken", {"manifest.json": "{"}, r"manifest\.json: is damaged"),
        ("list", {"manifest.json": "[]"}, r"manifest\.json: is damaged \(no JSON object\)"),
    ],
)
def test_what_is_no_run_folder_is_refused(tmp_path, name, content, message):
    path = tmp_path / name
    if isinstance(content, str):
        path.write_text(content)
    elif content is not None:
        path.mkdir()
        for file, text in content.items():
            (path / file).write_text(text)
    with pytest.raises(InputError, match=message):
        read_manifest(path)


@pytest.fixture
def inputs(tmp_path):
    """Return files that a command reads, and the folder of a run."""
    target = tmp_path / "run"
    with new_run(target) as run:
        run.write_json("manifest.json", {})
        run.write_text("models/a.csv", "")
        run.write_text("choice.parquet", "")
        run.write_text("orders.csv", "")
    (tmp_path / "sales.csv").write_text("sales")
    (tmp_path / "link.csv").symlink_to(tmp_path / "sales.csv")
    (tmp_path / "hard.csv").hardlink_to(tmp_path / "sales.csv")
    return tmp_path


@pytest.mark.parametrize(
    ("out", "fault"),
    [
        ("sales.csv", "is read by this command"),
        ("run/../sales.csv", "is read by this command"),
        ("link.csv", "is read by this command"),
        ("hard.csv", "is read by this command"),
        ("run/choice.parquet", "is a file of the run"),
        ("run/models/a.csv", "is a file of the run"),
        ("run/manifest.json", "is a file of the run"),
        (".", "holds .*sales.csv, which this command reads"),
        ("run", "is read by this command"),
    ],
)
def test_an_input_is_never_written_to(inputs, out, fault):
    with pytest.raises(InputError, match=f"--out: .*{fault}"):
        check_not_input(inputs / out, [None, inputs / "sales.csv", inputs / "run"])


@pytest.mark.parametrize("out", ["orders.csv", "run/orders.csv", "run/week-2.csv", "other/run", "sales.csv.csv"])
def test_what_is_no_input_may_be_written(inputs, out):
    check_not_input(inputs / out, [None, inputs / "sales.csv", inputs / "run"])
    check_not_input(None, [inputs / "sales.csv"])


def test_inputs_are_compared_where_the_command_runs(inputs, monkeypatch):
    monkeypatch.chdir(inputs)
    with pytest.raises(InputError, match=r"^--page: sales\.csv is read by this command; give another name$"):
        check_not_input("sales.csv", [inputs / "link.csv"], "--page")
    check_not_input("new/sales.csv", ["sales.csv"])
