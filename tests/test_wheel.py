"""The wheel and the source distribution: the package, all of it, and nothing else; both install and run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path
from typing import NamedTuple

import pytest

import fractile

ROOT = Path(fractile.__file__).parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
OUTSIDE = ("tests", "benchmarks", "notebooks", "docs", "build", "dist", "runs", "site")
OFFLINE = ("--no-build-isolation", "--no-index")


def source_files(suffixes, root=ROOT):
    """Return the package's files below the root, relative to it."""
    found = (path.relative_to(root) for path in root.rglob("*") if path.suffix in suffixes)
    inside = (path for path in found if not path.parts[0].startswith(".") and path.parts[0] not in OUTSIDE)
    return {path.as_posix() for path in inside if not path.parts[0].endswith(".egg-info")}


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A copy of the working tree, without what git ignores but with a run."""
    tree = tmp_path_factory.mktemp("source") / "a tree"
    left_out = shutil.ignore_patterns(".*", "*.egg-info", "__pycache__", "build", "dist", "runs", "site")
    shutil.copytree(ROOT, tree, ignore=left_out)
    (tree / "runs").mkdir()
    (tree / "runs" / "mine.py").write_text("")
    return tree


def run(*command, **options):
    """Run a command and return what it prints; its errors are those of the test."""
    result = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False, **options)
    assert result.returncode == 0, result.stderr
    return result.stdout


def build_wheel(source, folder):
    """Build the wheel of a source tree or a source distribution, without network."""
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", *OFFLINE, "--wheel-dir", folder, source)
    (wheel,) = folder.glob("fractile-*.whl")
    return wheel


def files_of(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist() if not name.endswith("/")}


@pytest.fixture(scope="module")
def wheel(tree, tmp_path_factory):
    return build_wheel(tree, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def sdist(tree, tmp_path_factory):
    folder = tmp_path_factory.mktemp("sdist")
    run(sys.executable, "-m", "build", "--sdist", "--no-isolation", "--outdir", folder, tree)
    (archive,) = folder.glob("fractile-*.tar.gz")
    return archive


@pytest.fixture(scope="module")
def members(wheel):
    """The files of the wheel that is built from the copy."""
    return set(files_of(wheel))


@pytest.fixture(scope="module")
def installed(sdist, tmp_path_factory):
    """An environment with the wheel that is built from the source distribution, and this one's packages."""
    wheel = build_wheel(sdist, tmp_path_factory.mktemp("from sdist"))
    home = tmp_path_factory.mktemp("environment") / "venv"
    venv.create(home, with_pip=False, symlinks=True)
    python = home / "bin" / "python"
    run(sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index", wheel)
    paths = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
    shared = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (Path(paths) / "shared.pth").write_text("\n".join(sorted(shared)))
    return Installed(home, wheel)


class Installed(NamedTuple):
    home: Path
    wheel: Path

    def run(self, *command, cwd):
        """Run one of its programs, outside the checkout and without the path that tests run with."""
        variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        program, *arguments = command
        return run(self.home / "bin" / program, *arguments, cwd=cwd, env=variables)


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


def test_the_source_distribution_holds_what_a_contributor_needs(sdist, tree):
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    wanted = {"Makefile", "constraints.txt", "CHANGELOG.md", "CITATION.cff", "CONTRIBUTING.md", "LICENSE", "README.md"}
    wanted |= {path.relative_to(tree).as_posix() for path in (tree / "tests").rglob("*.py")}
    assert wanted - names == set()
    assert not any("__pycache__" in name or name.startswith("runs") for name in names)


def test_a_wheel_of_the_source_distribution_is_that_of_the_tree(installed, wheel):
    ours, theirs = files_of(installed.wheel), files_of(wheel)
    assert ours.keys() == theirs.keys()
    assert [name for name in ours if ours[name] != theirs[name] and not name.endswith("/RECORD")] == []


def test_what_is_installed_runs(installed, tmp_path):
    program = (
        "import fractile as fr, pathlib, sys\n"
        "print(pathlib.Path(fr.__file__).is_relative_to(sys.prefix), fr.__version__)\n"
        "fr.make_policy('generalist')\n"  # reads package data
        "import fractile.studies.report.template as report\n"
        "print(sorted(p.suffix for p in pathlib.Path(report.__file__).parent.iterdir() if p.suffix in ('.j2', '.css')))"
    )
    first, last = installed.run("python", "-c", program, cwd=tmp_path).splitlines()
    assert first == f"True {PROJECT['project']['version']}"
    assert ".css" in last
    assert ".j2" in last
    assert "study" in installed.run("fractile", "--help", cwd=tmp_path)


def test_the_version_is_the_same_everywhere():
    version = PROJECT["project"]["version"]
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.search(r"^version: (.+)$", citation, re.MULTILINE)[1] == version
    released = re.findall(
        r"^## \[(\d+\.\d+\.\d+)\] - (\d{4}-\d{2}-\d{2})$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE
    )
    assert released[0] == (version, re.search(r"^date-released: (.+)$", citation, re.MULTILINE)[1])


def test_every_python_that_is_named_is_allowed():
    named = re.findall(r"Python :: (3\.\d+)", "\n".join(PROJECT["project"]["classifiers"]))
    assert named == ["3.11", "3.12", "3.13"]
    assert PROJECT["project"]["requires-python"] == ">=3.11"
