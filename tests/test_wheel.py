"""The wheel: the package, all of it, and nothing else."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import fractile

ROOT = Path(fractile.__file__).parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
OUTSIDE = ("tests", "benchmarks", "notebooks", "docs", "build", "dist", "runs")


def source_files(suffixes, root=ROOT):
    """Return the package's files below the root, relative to it."""
    found = (path.relative_to(root) for path in root.rglob("*") if path.suffix in suffixes)
    inside = (path for path in found if not path.parts[0].startswith(".") and path.parts[0] not in OUTSIDE)
    return {path.as_posix() for path in inside if not path.parts[0].endswith(".egg-info")}


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A copy of the working tree, without what git ignores but with a run."""
    tree = tmp_path_factory.mktemp("source") / "a tree"
    left_out = shutil.ignore_patterns(".*", "*.egg-info", "__pycache__", "build", "dist", "runs")
    shutil.copytree(ROOT, tree, ignore=left_out)
    (tree / "runs").mkdir()
    (tree / "runs" / "mine.py").write_text("")
    return tree


@pytest.fixture(scope="module")
def members(tree, tmp_path_factory):
    """The files of the wheel that is built from the copy."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
    ]
    subprocess.run([*command, "--wheel-dir", str(folder), str(tree)], check=True, capture_output=True, text=True)
    (wheel,) = folder.glob("fractile-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if not name.endswith("/")}


def test_every_package_of_the_tree_is_listed():
    listed = set(PROJECT["tool"]["setuptools"]["packages"])
    folders = {Path(name).parent for name in source_files({".py"})}
    assert listed == {".".join(("fractile", *folder.parts)) for folder in folders}


def test_every_package_has_an_init():
    folders = {Path(name).parent for name in source_files({".py"})}
    assert [str(folder) for folder in folders if not (ROOT / folder / "__init__.py").is_file()] == []


def test_the_wheel_holds_every_module_and_nothing_else(members, tree):
    modules = {name for name in members if name.endswith(".py")}
    assert modules == {f"fractile/{name}" for name in source_files({".py"}, tree)}
    others = {name for name in members - modules if ".dist-info/" not in name}
    assert others == {
        f"fractile/{name}" for name in source_files({".j2", ".css", ".pyi", ".typed", ".json", ".safetensors"}, tree)
    }


def test_the_wheel_holds_the_report_template_and_its_style(members):
    report = {Path(name).suffix for name in members if name.startswith("fractile/studies/report/")}
    assert {".j2", ".css"} <= report


def test_the_wheel_holds_licence_and_command(members):
    ends = {name.partition(".dist-info/")[2] for name in members}
    assert {"licenses/LICENSE", "entry_points.txt", "METADATA"} <= ends
