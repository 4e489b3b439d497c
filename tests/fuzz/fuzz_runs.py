"""Tampered run folders: what is changed in them, with hashes that are stale or fit, and the command that reads them."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tomllib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import tomli_w
from fuzz_bytes import mutate_bytes
from fuzz_inputs import HISTORY, ITEMS, STATE
from fuzz_watch import faults_of, own_temporary_folder, run_command, snapshot
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from fractile.studies.config import load_config
from fractile.studies.integrity import with_checksums
from fractile.studies.kept_runs import train_run

WILD = (
    *(None, True, False, 0, 1, -1, 7, 2**31, 2**63, -(2**63), 10**18, 0.5, -0.5, 1e-300, 1e300, 3.0, [], {}, [[]], ""),
    *(
        "x",
        "nan",
        "inf",
        "..",
        "../..",
        "/etc/hostname",
        "~",
        "a\0b",
        "2024-02-30",
        "W-MON",
        "D",
        "complete",
        "running",
    ),
    *(
        "os:getcwd",
        "never_there:Mine",
        "blended",
        "newsvendor",
        "patchwork",
        "<script>alert(1)</script>",
        "=1+1",
        "{{ 7 }}",
    ),
    *(["a"], ["a", "a"], {"a": 1}, {"kind": "float", "value": "nan"}, {"kind": "Normal", "config": {}}, "x" * 5000),
)
"""Values that stand in JSON or TOML in place of what was there."""
VERSIONS = ("0.1.0", "0.2.0", "9.9.9", "", None, 3)


@dataclass(frozen=True)
class RunPlace:
    """A folder with sound inputs and runs of them, of which copies are tampered with.

    Attributes:
        folder: of everything.
        work: where copies stand.
        temporary: where temporary files go.
        runs: by name: what is copied.
        printed: what `order` prints of the untouched run, by name.
    """

    folder: Path
    work: Path
    temporary: Path
    runs: dict[str, Path]
    printed: dict[str, str]

    @classmethod
    def make(cls, folder, *, reports=True):
        """Write inputs and make the runs: two trainings, a study with orders, and a training that was interrupted."""
        for name, text in {"history": HISTORY, "items": ITEMS, "state": STATE}.items():
            (folder / f"{name}.csv").write_text(text, encoding="utf-8")
        work, temporary = folder / "work", folder / "temporary"
        work.mkdir()
        temporary.mkdir()
        (folder / "made").mkdir()
        runs = {}
        options = {"quantile_forest": {"trees": 3}, "lightgbm": {"trees": 3}}
        for name, forecaster, policy in (
            *(("plain", "seasonal_naive", "base_stock"), ("patches", "patchwork", "tuned_newsvendor")),
            *(("forest", "quantile_forest", "newsvendor"), ("boosted", "lightgbm", "ss")),
        ):
            runs[name] = folder / "made" / name
            _train(folder, runs[name], forecaster, policy, options.get(forecaster, {}))
        runs["broken"] = folder / "made" / ".broken.partial"
        _interrupt(folder, folder / "made" / "broken")
        if reports:
            runs["study"] = folder / "made" / "study"
            done = run_command(
                *("study", "--history", folder / "history.csv", "--items", folder / "items.csv"),
                *("--state", folder / "state.csv", "--forecaster", "seasonal_naive", "--policy", "newsvendor"),
                *("--policy", "base_stock", "--baseline", "newsvendor", "--periods", "4", "--validation", "8"),
                *("--folds", "1", "--quick", "--out", runs["study"]),
            )
            assert done.code == 0, done
        place = cls(folder, work, temporary, runs, {})
        for name in runs:
            if name != "broken":
                outcome = run_command(*order_from(place, runs[name]))
                assert outcome.code == 0, (name, outcome)
                place.printed[name] = outcome.out
        return place


def order_from(place, run):
    """Return the arguments that order from a run."""
    files = ("--history", place.folder / "history.csv", "--on-hand", "0")
    return ("order", "--run", run, *files, "--items", place.folder / "items.csv", "--quiet")


def _train(folder, out, forecaster, policy, options):
    files = {"data.history": folder / "history.csv", "data.items": folder / "items.csv"}
    chosen = {"policies.names": [policy], "policies.baseline": policy, "forecast.forecaster": forecaster}
    chosen |= {"forecast.options": {forecaster: options}} if options else {}
    held = {"backtest.periods": 4, "backtest.validation": 8, "training.simulated_paths": 1}
    config = load_config(None, {**files, **chosen, **held})
    train_run(config, out, policy=policy, command="fractile train", progress=lambda *_: None)


def _interrupt(folder, out):
    def stop(message, share=None):
        if message.startswith("tuning") or "training" in message or "writing" in message:
            raise KeyboardInterrupt

    files = {"data.history": folder / "history.csv", "data.items": folder / "items.csv"}
    chosen = {"policies.names": ["base_stock"], "policies.baseline": "base_stock"}
    held = {"backtest.periods": 4, "backtest.validation": 8, "training.simulated_paths": 1}
    config = load_config(None, {**files, **chosen, **held, "forecast.forecaster": "seasonal_naive"})
    try:
        train_run(config, out, policy="base_stock", command="fractile train", progress=stop)
    except KeyboardInterrupt:
        return
    raise AssertionError("the training was not interrupted")


# ---- what is changed ----


def tamper(rng, place, run, name):
    """Change one or two files of a copy of a run; return what was done."""
    done = []
    for _ in range(int(rng.integers(1, 3))):
        files = sorted(path for path in run.rglob("*") if path.is_file() and not path.is_symlink())
        files = [path for path in files if "figures" not in path.parts and path.suffix not in (".html", ".svg")]
        if not files:
            break
        weights = np.array([3.0 if path.suffix in (".json", ".safetensors", ".toml") else 1.0 for path in files])
        path = files[rng.choice(len(files), p=weights / weights.sum())]
        kinds = {".json": _edit_json, ".toml": _edit_toml, ".safetensors": _edit_arrays, ".parquet": _edit_table}
        own = kinds.get(path.suffix)
        if own is not None and rng.random() < 0.6:
            try:
                what = own(rng, path)
            except Exception:  # it was damaged already
                what = _damage(rng, path, place, name)
        else:
            what = _damage(rng, path, place, name)
        done.append(f"{path.relative_to(run)}: {what}")
    return done


def _damage(rng, path, place, name):
    data = path.read_bytes()
    kind = rng.choice(
        ["bit", "bytes", "cut", "empty", "gone", "other", "link", "loop", "pipe", "folder", "zeros", "text"]
    )
    if kind == "bit":
        found = bytearray(data or b"x")
        found[rng.integers(len(found))] ^= 1 << int(rng.integers(8))
        path.write_bytes(found)
    elif kind == "bytes":
        path.write_bytes(mutate_bytes(rng, data))
    elif kind in ("cut", "empty", "zeros", "text"):
        cut = data[: rng.integers(len(data) + 1)]
        path.write_bytes({"cut": cut, "empty": b"", "zeros": bytes(len(data)), "text": b"not what it was\n"}[kind])
    elif kind == "other":  # the same file of another run, or any file
        others = [run for other, run in place.runs.items() if other != name]
        run = others[rng.integers(len(others))]
        there = [p for p in run.rglob("*") if p.is_file() and p.suffix == path.suffix]
        if there:
            shutil.copyfile(there[rng.integers(len(there))], path)
    else:
        path.unlink()
        if kind == "link":
            path.symlink_to(place.folder / "history.csv")
        elif kind == "loop":
            path.symlink_to(path.name)
        elif kind == "pipe":
            os.mkfifo(path)
        elif kind == "folder":
            path.mkdir()
    return kind


def _places(value, found, at=()):
    """Collect the paths of all values of nested JSON."""
    below = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in list(below)[:60]:
        found.append((*at, key))
        _places(inner, found, (*at, key))
    return found


def _edit(rng, content):
    """Change a value of nested JSON; return where."""
    places = _places(content, [])
    if not places:
        return "nothing"
    where = places[rng.integers(len(places))]
    holder = content
    for key in where[:-1]:
        holder = holder[key]
    kind = rng.integers(5)
    if kind == 0:
        del holder[where[-1]]
    elif kind == 1 and isinstance(holder, dict):
        holder["unknown"] = WILD[rng.integers(len(WILD))]
    else:
        holder[where[-1]] = WILD[rng.integers(len(WILD))]
    return f"{where} {kind}"


def _edit_json(rng, path):
    content = json.loads(path.read_text(encoding="utf-8"))
    if rng.random() < 0.1 and path.name == "manifest.json":
        content["versions"] = {"fractile": VERSIONS[rng.integers(len(VERSIONS))]}
        what = "version"
    else:
        what = _edit(rng, content)
    text = json.dumps(content)
    if rng.random() < 0.05:
        text = ('{"a":' * 100_000, "[" * 50_000 + "]" * 50_000, text.replace("0", "NaN", 1), "1" * 6000)[
            rng.integers(4)
        ]
    path.write_text(text, encoding="utf-8")
    return f"json {what}"


def _edit_toml(rng, path):
    content = tomllib.loads(path.read_text(encoding="utf-8"))
    what = _edit(rng, content)
    path.write_text(tomli_w.dumps(_without_none(content)), encoding="utf-8")
    return f"toml {what}"


def _without_none(value):
    if isinstance(value, dict):
        return {key: _without_none(inner) for key, inner in value.items() if inner is not None}
    return [_without_none(inner) for inner in value if inner is not None] if isinstance(value, list) else value


def _edit_arrays(rng, path):
    arrays = load_file(path)
    with safe_open(path, framework="numpy") as file:
        about = file.metadata()
    if not arrays:
        return "nothing"
    name = sorted(arrays)[rng.integers(len(arrays))]
    array = arrays[name]
    kinds = {
        "nan": lambda: _with(rng, array, np.nan),
        "inf": lambda: _with(rng, array, np.inf),
        "huge": lambda: _with(rng, array, 1e300),
        "negative": lambda: _with(rng, array, -1),
        "large": lambda: _with(rng, array, 2**40),
        "zero": lambda: np.zeros_like(array),
        "flat": lambda: array.ravel(),
        "cut": lambda: array[: len(array) // 2] if array.ndim else array[None],
        "longer": lambda: np.concatenate([array, array]) if array.ndim else np.stack([array, array]),
        "scalar": lambda: np.asarray(3.5),
        "empty": lambda: array[:0] if array.ndim else np.zeros(0),
        "float": lambda: array.astype(np.float32),
        "whole": lambda: np.nan_to_num(array.astype(np.float64)).astype(np.int64),
        "bool": lambda: array.astype(bool),
        "deeper": lambda: array[None],
        "shuffled": lambda: rng.permutation(array) if array.ndim else array,
    }
    kind = rng.choice([*kinds, "gone", "more", "renamed"])
    if kind in kinds:
        arrays[name] = np.ascontiguousarray(kinds[kind]()) if np.ndim(kinds[kind]()) else kinds[kind]()
    elif kind == "more":
        arrays["unknown"] = np.ones(3)
    else:
        taken = arrays.pop(name)
        arrays |= {"unknown": taken} if kind == "renamed" else {}
    if about and "about" in about:
        order = [key for key in json.loads(about["about"])["order"] if key in arrays]
        order += [key for key in arrays if key not in order]
        about = {"about": json.dumps({**json.loads(about["about"]), "order": order})}
    save_file(arrays, path, metadata=about)
    return f"array {name} {kind}"


def _with(rng, array, value):
    changed = np.array(array, copy=True)
    flat = changed.reshape(-1)
    if not flat.size:
        return changed
    with np.errstate(all="ignore"):
        flat[rng.integers(flat.size)] = np.asarray(value).astype(flat.dtype)
    return changed


def _edit_table(rng, path):
    frame = pd.read_parquet(path)
    column = frame.columns[rng.integers(len(frame.columns))]
    kinds = ["gone", "text", "nan", "inf", "twice", "none", "renamed", "object", "script"]
    kind = rng.choice(kinds)
    if kind == "gone":
        frame = frame.drop(columns=column)
    elif kind in ("text", "script"):
        frame[column] = "x" if kind == "text" else "<script>alert(1)</script>"
    elif kind in ("nan", "inf"):
        frame[column] = np.nan if kind == "nan" else np.inf
    elif kind == "twice":
        frame = pd.concat([frame, frame])
    elif kind == "none":
        frame = frame[:0]
    elif kind == "object":
        frame[column] = [[1, 2]] * len(frame)
    else:
        frame = frame.rename(columns={column: "unknown"})
    frame.to_parquet(path, index=False)
    return f"table {column} {kind}"


# ---- hashes that fit ----


def write_hashes(run):
    """Write hashes that fit, as somebody who changes a run on purpose would: of models, and of the manifest."""
    for path in sorted(run.rglob("*.json")):
        arrays = path.with_suffix(".safetensors")
        if path.is_symlink() or arrays.is_symlink() or not path.is_file() or not arrays.is_file():
            continue
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            content.pop("sha256", None)
            with safe_open(arrays, framework="numpy") as file:
                about = file.metadata() or {}
            order = json.loads(about["about"])["order"]
            digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
            whole = load_file(arrays)
            save_file(whole, arrays, metadata={"about": json.dumps({"order": order, "sha256": digest})})
            content["sha256"] = hashlib.sha256(arrays.read_bytes()).hexdigest()
            path.write_text(json.dumps(content), encoding="utf-8")
        except Exception:  # it is too damaged to be given any
            continue
    manifest = run / "manifest.json"
    try:
        record = json.loads(manifest.read_text(encoding="utf-8")) if manifest.is_file() else {}
        there = [path.relative_to(run).as_posix() for path in sorted(run.rglob("*")) if path.is_file()]
        listed = [name for name in record["files"] if name in there]
        record.pop("checksum", None)
        manifest.write_text(json.dumps(with_checksums(run, record, listed)), encoding="utf-8")
    except Exception:
        pass
    for part in sorted(run.rglob("part.json")):
        if not part.is_file():  # a pipe would hang
            continue
        try:
            record = json.loads(part.read_text(encoding="utf-8"))
            inside = [path for path in sorted(part.parent.rglob("*")) if path.is_file() and path.name != "part.json"]
            names = {path.relative_to(part.parent).as_posix(): path for path in inside}
            record["hashes"] = {n: hashlib.sha256(p.read_bytes()).hexdigest() for n, p in names.items()}
            part.write_text(json.dumps(record), encoding="utf-8")
        except Exception:
            continue


# ---- a command on it ----


def check(place, rng, commands):
    """Tamper with a copy of a run and read it by a command; return what was done, the outcome and its faults."""
    command = commands[rng.integers(len(commands))]
    name = {"resume": "broken", "report": "study"}.get(command)
    if name is None:
        known = [key for key in place.runs if key != "broken"]
        name = known[rng.integers(len(known))]
    run = place.work / ("run" if name != "broken" else ".run.partial")
    shutil.copytree(place.runs[name], run, symlinks=True)
    what = tamper(rng, place, run, name)
    fits = rng.random() < 0.6
    if fits:
        write_hashes(run)
    history = ("--history", place.folder / "history.csv")
    arguments = {
        "order": order_from(place, run),
        "report": ("report", run, "--quiet"),
        "resume": ("resume", place.work / "run", "--quiet"),
        "validate": ("validate", "--run", run, *history, "--quiet"),
    }[command]
    written = {"report": (run / "report.html", run / "figures"), "resume": (place.work,)}.get(command, ())
    before = snapshot(place.folder)
    with own_temporary_folder(place.temporary):
        outcome = run_command(*arguments)
    after = snapshot(place.folder)
    if command == "resume":  # it may go on with its folder, and put another one in place
        inner = str(place.work)
        before, after = ({k: v for k, v in found.items() if not k.startswith(inner)} for found in (before, after))
    if command == "report" and outcome.code == 0:
        pages = tuple(map(str, written))
        before = {path: state for path, state in before.items() if not path.startswith(pages)}
    faults = faults_of(outcome, before, after, written)
    if command == "order" and outcome.code == 0:
        faults += _faults_of_orders(place, name, outcome, fits=fits)
    return [command, name, "hashes fit" if fits else "stale hashes", *what], outcome, faults


def _faults_of_orders(place, name, outcome, *, fits):
    """Return what is wrong with orders that were printed: with stale hashes they are those of the untouched run."""
    if not fits:
        return [] if outcome.out == place.printed[name] else ["other orders, without a word"]
    from io import StringIO

    orders = pd.read_csv(StringIO(outcome.out))["order"].to_numpy(float)
    return [] if np.isfinite(orders).all() and (orders >= 0).all() else [f"orders {orders[:5]}"]


def clean(place):
    """Remove what a check left in the folder of work."""
    for path in place.work.iterdir():
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
