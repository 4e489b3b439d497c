"""A run folder that is not what its run wrote, or that somebody else made: one clear fault, and nothing is executed."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

import fractile as fr
from fractile.cli import app
from fractile.files import inside
from fractile.studies.config import load_config
from fractile.studies.folder import read_manifest
from fractile.studies.integrity import read_table, with_checksums
from fractile.studies.kept_runs import train_run
from fractile.studies.own_code import check_own_code

RUNNER = CliRunner()


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return a folder with files of five items, and a run of them that keeps a base stock policy."""
    folder = tmp_path_factory.mktemp("made")
    fr.retail_panel(items=5, periods=80, seed=3).write(folder)
    files = {"data.history": folder / "history.csv", "data.items": folder / "items.csv"}
    chosen = {"policies.names": ["base_stock"], "policies.baseline": "base_stock", "forecast.forecaster": "patchwork"}
    config = load_config(None, {**files, **chosen, "training.simulated_paths": 1})
    train_run(config, folder / "run", policy="base_stock", command="train", progress=lambda *_: None)
    return folder


@pytest.fixture
def run(made, tmp_path):
    """Return a copy of the run, to be changed."""
    shutil.copytree(made / "run", tmp_path / "run")
    return tmp_path / "run"


def order(run, made, *options):
    """Order from a run, and return the exit code and what was said."""
    given = ["--run", str(run), "--history", str(made / "history.csv"), "--on-hand", "0"]
    result = RUNNER.invoke(app, ["order", *given, *options], catch_exceptions=False)
    return result.exit_code, result.output


def write_manifest(run, **changes):
    """Change a manifest as somebody who writes hashes that fit."""
    record = json.loads((run / "manifest.json").read_text()) | changes
    record = with_checksums(run, {k: v for k, v in record.items() if k != "checksum"}, record.get("files", []))
    (run / "manifest.json").write_text(json.dumps(record))


def test_a_run_as_it_was_made_is_ordered_from(run, made):
    code, said = order(run, made)
    assert code == 0, said
    write_manifest(run)
    assert order(run, made) == (code, said)


@pytest.mark.parametrize(
    "name",
    [
        *("config.toml", "manifest.json", "models/forecaster.json", "models/forecaster.safetensors"),
        *("models/policy-base_stock.json", "models/policy-base_stock.safetensors", "models/pooled.json"),
    ],
)
@pytest.mark.parametrize("how", ["bit", "cut", "gone"])
def test_damage_is_found_and_named(run, made, name, how):
    path = run / name
    whole = bytearray(path.read_bytes())
    whole[len(whole) // 2] ^= 1
    if how == "gone":
        path.unlink()
    else:
        path.write_bytes(whole if how == "bit" else whole[: len(whole) // 2])
    code, said = order(run, made)
    assert code == 2, said
    assert path.name in said
    assert any(remedy in said for remedy in ("copy the run folder anew", "make the run again", "not a run folder"))


def test_files_of_another_run_are_found(run, made, tmp_path):
    """Each is whole in itself: the manifest of this run has other hashes."""
    fr.retail_panel(items=5, periods=80, seed=4).write(tmp_path)
    files = {"data.history": tmp_path / "history.csv", "data.items": tmp_path / "items.csv"}
    config = load_config(run / "config.toml", files)
    train_run(config, tmp_path / "other", policy="base_stock", command="train", progress=lambda *_: None)
    shutil.copytree(tmp_path / "other" / "models", run / "models", dirs_exist_ok=True)
    code, said = order(run, made)
    assert code == 2
    assert "policy-base_stock.safetensors: is not as it was written" in said


def test_ids_in_a_file_of_their_own_are_read_and_checked(made, tmp_path, monkeypatch):
    """As in a run of very many items."""
    monkeypatch.setattr("fractile.studies.run_items.MOST_IN_MANIFEST", 3)
    config = load_config(made / "run" / "config.toml")
    run = train_run(config, tmp_path / "run", policy="base_stock", command="train", progress=lambda *_: None)
    assert order(run, made) == order(made / "run", made)
    table = pd.read_parquet(run / "item_ids.parquet")
    table[::-1].to_parquet(run / "item_ids.parquet", index=False)
    code, said = order(run, made)
    assert (code, "item_ids.parquet: is not as it was written" in said) == (2, True)
    (run / "item_ids.parquet").unlink()
    write_manifest(run, files=["config.toml"])
    code, said = order(run, made)
    assert (code, "item_ids.parquet" in said) == (2, True)


def test_a_run_without_hashes_is_read(run, made):
    """As versions before 0.3 wrote them."""
    record = json.loads((run / "manifest.json").read_text())
    del record["sha256"], record["checksum"]
    (run / "manifest.json").write_text(json.dumps(record))
    assert order(run, made)[0] == 0


@pytest.mark.parametrize("missing", ["sha256", "checksum"])
def test_a_manifest_that_lost_one_of_its_hashes_is_refused(run, made, missing):
    record = json.loads((run / "manifest.json").read_text())
    del record[missing]
    (run / "manifest.json").write_text(json.dumps(record))
    code, said = order(run, made)
    assert (code, "is not as it was written" in said) == (2, True)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": 3}, "data must be a table, got 3"),
        ({"data": {}}, "lacks data.source, data.item_ids, data.freq, data.last_date"),
        ({"seed": -1}, "seed must be a whole number >= 0, got -1"),
        ({"level": 7}, "level must be a number between 0 and 1, got 7"),
        ({"policy": "../../elsewhere"}, "is not kept by the run"),
        ({"policy": None}, "lacks policy"),
        ({"policy": ["base_stock"]}, "policy must be a text"),
        ({"kind": "lineage"}, "keeps no policy"),
        ({"policy_notes": {"base_stock": 3}}, "policy_notes must be a table of lists of texts"),
        ({"cpu_seconds": {"fit": "x"}}, "cpu_seconds must be a table of numbers"),
    ],
)
def test_a_manifest_with_hashes_that_fit_is_checked_all_the_same(run, made, changes, message):
    write_manifest(run, **changes)
    code, said = order(run, made)
    assert code == 2
    assert message in said


@pytest.mark.parametrize("name", ["config.toml", "models", "models/forecaster.json", "manifest.json"])
@pytest.mark.parametrize("kind", ["link", "pipe", "circle"])
def test_nothing_leads_out_of_the_folder(run, made, name, kind, tmp_path):
    path, elsewhere = run / name, tmp_path / "elsewhere"
    path.rename(elsewhere)
    if kind == "link":
        path.symlink_to(elsewhere)
    elif kind == "circle":
        path.symlink_to(path)
    else:
        os.mkfifo(path)
    code, said = order(run, made)  # a pipe that nobody writes to would hang
    assert code == 2
    assert path.name in said


def test_a_report_is_not_written_through_a_link(tmp_path):
    from fractile.studies.report.figure_data import write_figures

    (tmp_path / "run").mkdir()
    (tmp_path / "mine").mkdir()
    (tmp_path / "run" / "figures").symlink_to(tmp_path / "mine")
    with pytest.raises(fr.FractileError, match="figures: is a link out of its folder"):
        write_figures(tmp_path / "run", {"costs": pd.DataFrame({"x": [1]})})
    assert not list((tmp_path / "mine").iterdir())


@pytest.mark.parametrize("name", ["../x", "/etc/hostname", "a/../../x", "..", "", "a\0b"])
def test_names_stay_in_their_folder(tmp_path, name):
    with pytest.raises(fr.FractileError, match="leaves the folder"):
        inside(tmp_path, name)


def test_a_table_larger_than_the_machine_is_refused_before_it_is_read(tmp_path, monkeypatch):
    """A few bytes may promise rows without end; the footer is read first."""
    wide = pa.table({f"c{k}": pa.nulls(1_000_000, pa.int64()) for k in range(40)})
    pq.write_table(wide, tmp_path / "wide.parquet")
    assert (tmp_path / "wide.parquet").stat().st_size < 1_000_000
    monkeypatch.setattr("fractile.forecasters.data.parquet._memory", lambda: 64 * 2**20)
    with pytest.raises(fr.FractileError, match=r"wide\.parquet: cannot be read .* more than this machine's memory"):
        read_table(tmp_path, "wide.parquet")


EVIL = (
    "import pathlib\npathlib.Path('was_run').write_text('yes')\nclass Mine:\n    def order(self, obs):\n        pass\n"
)


def test_an_order_imports_no_module_that_only_the_run_names(run, made, tmp_path, monkeypatch):
    """The module lies in the working folder, as it would in an archive that somebody sent."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])  # as `main` does
    (tmp_path / "evil.py").write_text(EVIL)
    text = (run / "config.toml").read_text().replace('"base_stock"', '"evil:Mine"')
    (run / "config.toml").write_text(text)
    for name in ("json", "safetensors"):
        (run / f"models/policy-base_stock.{name}").rename(run / f"models/policy-evil-Mine.{name}")
    write_manifest(run, policy="evil:Mine", files=["config.toml"])
    code, said = order(run, made)
    assert code == 2, said
    assert "names code of its own, evil:Mine, which runs when it is imported" in said
    assert "--trust evil:Mine" in said
    assert not (tmp_path / "was_run").exists()
    assert "evil" not in sys.modules
    code, said = order(run, made, "--trust", "evil:Mine")
    monkeypatch.delitem(sys.modules, "evil")
    assert (tmp_path / "was_run").exists(), said


def test_code_is_looked_for_wherever_a_text_stands(tmp_path, monkeypatch):
    (tmp_path / "evil_two.py").write_text("raise SystemExit('was run')")
    monkeypatch.syspath_prepend(tmp_path)
    for content in ({"a": [{"evil_two:Mine": 1}]}, ["x", ("evil_two:Mine",)], "evil_two:Mine"):
        with pytest.raises(fr.InputError, match=r"config\.toml: names code of its own, evil_two:Mine"):
            check_own_code(Path("config.toml"), content, ())
    check_own_code(Path("config.toml"), {"name": "no_such_module_anywhere:X", "there": "pathlib:Path"}, ())


def test_the_manifest_lists_every_file_that_stays(run):
    record = read_manifest(run)
    assert set(record["files"]) - set(record["sha256"]) == {"manifest.json"}
