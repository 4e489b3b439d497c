"""The house rules that a machine can check: import order, size, documentation, lazy imports."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import fractile

ROOT = Path(fractile.__file__).parent
LAYERS = ("forecasters", "envs", "policies", "training", "studies")
ENGINES = {"executor", "processes", "ray_cluster", "tasks"}
BOTTOM = ("arrays", "errors", "files", "parts", "progress", "randomness", "registry", *sorted(ENGINES))
TOP = ("cli", "__main__", "__init__")
OTHER_FOLDERS = ("tests", "benchmarks", "notebooks", "docs")
GENERATED = ("build", "dist", "runs", "__pycache__", "fractile.egg-info")
FILES = sorted([*ROOT.glob("*.py"), *(file for layer in LAYERS for file in (ROOT / layer).rglob("*.py"))])
NAMES = {".".join(file.relative_to(ROOT).with_suffix("").parts): file for file in FILES}
LINES_PER_MODULE = 450
LINES_PER_BODY = 120


@cache
def parsed(name):
    return ast.parse(NAMES[name].read_text(encoding="utf-8"))


def rank(name):
    head = name.partition(".")[0]
    return -1 if head in BOTTOM else LAYERS.index(head) if head in LAYERS else len(LAYERS)


@cache
def faces():
    """Return what each room's stub hands on: dotted public name → our module that defines it."""
    found = {}
    for stub in ROOT.rglob("*/__init__.pyi"):
        room = ".".join(stub.relative_to(ROOT).parts[:-1])
        for node in ast.parse(stub.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ImportFrom) and node.module:
                found |= {f"{room}.{alias.name}": f"{room}.{node.module}" for alias in node.names}
    return found


def module_of(dotted):
    """Return our module that a dotted name stands for, e.g. envs.core.types for envs.core.types.Scenario."""
    if dotted in faces():
        return faces()[dotted]
    parts = dotted.split(".")
    for end in range(len(parts), 0, -1):
        name = ".".join(parts[:end])
        if name in NAMES:
            return name
        if f"{name}.__init__" in NAMES:
            return f"{name}.__init__"
    return "__init__"


def targets(node, name):
    """Return the dotted names, relative to the package, of ours that an import statement asks for."""
    if isinstance(node, ast.Import):
        dotted = [alias.name for alias in node.names]
    elif node.level:
        base = ["fractile", *name.split(".")][: -node.level]
        stem = ".".join([*base, *([node.module] if node.module else [])])
        dotted = [f"{stem}.{alias.name}" for alias in node.names]
    else:
        dotted = [f"{node.module}.{alias.name}" for alias in node.names]
    return [text.removeprefix("fractile").lstrip(".") for text in dotted if text.split(".")[0] == "fractile"]


def imported(name):
    """Return our modules that a module imports, at once, inside a function or for type checking alone."""
    statements = [node for node in ast.walk(parsed(name)) if isinstance(node, ast.Import | ast.ImportFrom)]
    return {module_of(dotted) for node in statements for dotted in targets(node, name)} - {name}


def test_the_resolver_sees_every_kind_of_import():
    def resolve(code, name):
        return [module_of(dotted) for dotted in targets(ast.parse(code).body[0], name)]

    assert resolve("from ...errors import FractileError", "envs.core.types") == ["errors"]
    assert resolve("from .errors import FractileError", "cli") == ["errors"]
    assert resolve("from . import panel", "forecasters.data.panel") == ["forecasters.data.panel"]
    assert resolve("from .panel import SalesPanel", "forecasters.data.__init__") == ["forecasters.data.panel"]
    assert resolve("from ...errors import Faults", "forecasters.networks.mqcnn") == ["errors"]
    assert resolve("import fractile.studies.config", "envs.core.types") == ["studies.config"]
    assert resolve("from fractile.studies import config", "envs.core.types") == ["studies.config"]
    assert resolve("from .exact import clark_scarf", "policies.base") == [faces()["policies.exact.clark_scarf"]]
    assert resolve("import numpy as np", "envs.core.types") == []


@pytest.mark.parametrize("name", NAMES)
def test_imports_run_in_one_direction(name):
    above = {other for other in imported(name) if rank(other) > rank(name)}
    assert not above


@pytest.mark.parametrize("name", BOTTOM)
def test_the_ground_floor_imports_errors_at_most(name):
    below = {"parts", "progress", *ENGINES} if name in ENGINES else set()  # what runs tasks stands on what keeps them
    assert imported(name) <= {"errors", *below} - {name}


def test_no_import_is_cyclic():
    """Imports inside functions and under TYPE_CHECKING count: what needs each other belongs in one room."""
    done, open_ = set(), []

    def visit(name):
        assert name not in open_, " -> ".join([*open_[open_.index(name) :], name])
        if name in done:
            return
        open_.append(name)
        for other in sorted(imported(name) - {"__init__"}):
            visit(other)
        done.add(open_.pop())

    for name in NAMES:
        visit(name)


@pytest.mark.parametrize("name", NAMES)
def test_modules_are_short(name):
    assert len(NAMES[name].read_text(encoding="utf-8").splitlines()) <= LINES_PER_MODULE


def functions(tree):
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


@pytest.mark.parametrize("name", NAMES)
def test_functions_are_short(name):
    def lines(function):
        body = function.body[1:] if ast.get_docstring(function) else function.body
        return body[-1].end_lineno - body[0].lineno + 1 if body else 0

    assert {f.name: lines(f) for f in functions(parsed(name)) if lines(f) > LINES_PER_BODY} == {}


def public(body):
    """Return the public classes, functions and methods below a body."""
    for node in body:
        if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) or node.name.startswith("_"):
            continue
        if not any("overload" in ast.unparse(d) or ".setter" in ast.unparse(d) for d in node.decorator_list):
            yield node
        if isinstance(node, ast.ClassDef):
            yield from public(node.body)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_public_is_documented(name):
    tree = parsed(name)
    assert ast.get_docstring(tree)
    assert [node.name for node in public(tree.body) if not ast.get_docstring(node)] == []


def test_the_top_level_has_the_folders_of_the_design():
    shown = {path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith(".")}
    assert shown - set(GENERATED) <= {*LAYERS, *OTHER_FOLDERS}
    assert set(LAYERS) | {"tests"} <= shown
    assert {file.stem for file in ROOT.glob("*.py")} == {*BOTTOM, *TOP}


@pytest.mark.parametrize(
    "program",
    [
        "import fractile",
        "import fractile.cli",
        "import sys; from fractile.cli import app; app(['--help'], standalone_mode=False)",
        "import sys; from fractile.cli import app; app(['study', '--help'], standalone_mode=False)",
        "from fractile.studies.config import load_config; load_config()",
        "import gymnasium, fractile; gymnasium.spec('fractile/LostSales-v0')",
    ],
)
def test_heavy_libraries_wait_until_they_are_needed(program):
    check = "; import sys; print(sorted({'torch', 'stable_baselines3', 'statsforecast'} & set(sys.modules)))"
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", program + check], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1] == "[]"
