"""Notebooks run from top to bottom, print what is committed, and define nothing of the library."""

from __future__ import annotations

import ast
import importlib.util
import re
from pathlib import Path

import nbformat
import pytest

import fractile as fr

FOLDER = Path(fr.__file__).parent / "notebooks"


def script(name):
    spec = importlib.util.spec_from_file_location(f"notebooks_{name}", FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


notebooks, pages = script("execute"), script("pages")

NAMES = notebooks.list_names()
DEFINES = {"your_own_parts"}
"""Notebooks about classes of the reader's own."""
VARIES = "varies"
"""The tag of cells whose numbers depend on the machine: trained networks, times."""
LARGEST_PICTURE = 60_000
NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?")


def committed(name):
    return nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)


def test_every_notebook_has_a_source():
    assert len(NAMES) == 6
    assert {path.stem for path in FOLDER.glob("*.ipynb")} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_and_its_source_hold_the_same(name):
    source, notebook = notebooks.read_source(name), committed(name)
    assert [(c.cell_type, c.source, c.id, c.metadata) for c in notebook.cells] == [
        (c.cell_type, c.source, c.id, c.metadata) for c in source.cells
    ]
    assert notebook.metadata == source.metadata


@pytest.mark.parametrize("name", NAMES)
def test_committed_outputs_are_whole_and_small(name):
    code = [cell for cell in committed(name).cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    pictures = [o.data["image/png"] for c in code for o in c.outputs if "image/png" in o.get("data", {})]
    assert pictures
    assert max(map(len, pictures)) * 3 / 4 < LARGEST_PICTURE


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_defines_nothing_of_the_library(name):
    tree = ast.parse((FOLDER / f"{name}.py").read_text(encoding="utf-8"))
    defined = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    assert not defined & set(fr.__all__)
    assert not defined or name in DEFINES


@pytest.mark.parametrize("name", NAMES)
def test_the_page_of_the_site_holds_the_notebook(name):
    page, pictures = pages.to_markdown(name)
    assert pictures
    assert all(f"]({picture})" in page for picture in pictures)
    for cell in committed(name).cells:
        assert cell.source in page
        printed = [output.text for output in cell.get("outputs", []) if output.output_type == "stream"]
        assert all(text.rstrip() in page for text in printed)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_prints_what_is_committed(name):
    again = notebooks.execute(name)
    for cell, expected in zip(again.cells, committed(name).cells, strict=True):
        got, wanted = (texts(each) for each in (cell, expected))
        assert [kind for kind, _ in got] == [kind for kind, _ in wanted], cell.source
        if VARIES not in cell.metadata.get("tags", ()):
            for (_, text), (_, other) in zip(got, wanted, strict=True):
                assert_same(text, other)


def texts(cell):
    """Return kind and text of every output of a cell; pictures have no text."""
    found = []
    for output in cell.get("outputs", []):
        data = {"text/plain": output.text} if output.output_type == "stream" else output.data
        found += [(kind, "" if kind.startswith("image/") else text) for kind, text in sorted(data.items())]
    return found


def assert_same(got, wanted):
    """Fail where words differ, or numbers by more than a unit in their last place: processors round differently."""
    assert NUMBER.sub("#", got).split() == NUMBER.sub("#", wanted).split()
    for one, other in zip(NUMBER.findall(got), NUMBER.findall(wanted), strict=True):
        mantissa, _, exponent = other.partition("e")
        unit = 10.0 ** (int(exponent or 0) - len(mantissa.partition(".")[2]))
        assert abs(float(one) - float(other)) <= 1.001 * unit, (got, wanted)


@pytest.mark.parametrize(
    ("got", "wanted", "same"),
    [
        ("cost 4.39, 5 items", "cost  4.40, 5 items", True),
        ("cost 4.39", "cost 4.41", False),
        ("cost 1.5e-07", "cost 1.6e-07", True),
        ("cost 1.5e-07", "cost 1.5e-06", False),
        ("saves 2 %", "costs 2 %", False),
    ],
    ids=str,
)
def test_the_comparison_can_fail(got, wanted, same):
    if same:
        assert_same(got, wanted)
    else:
        with pytest.raises(AssertionError):
            assert_same(got, wanted)
