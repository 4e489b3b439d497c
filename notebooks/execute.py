"""Write the notebooks of this folder from their sources: NAME.py in py:percent beside NAME.ipynb, executed.

    python -P notebooks/execute.py              # all of them, about two minutes
    python -P notebooks/execute.py quick_start

What is written depends on the source alone: cells are numbered, and times, versions and paths are left out.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).parent
KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
LONGEST = 300
"""Seconds that a cell may take."""


def list_names() -> list[str]:
    """Return the names of all notebooks."""
    return sorted(path.stem for path in FOLDER.glob("*.py") if path.read_text(encoding="utf-8").startswith("# %%"))


def read_source(name: str) -> nbformat.NotebookNode:
    """Return the notebook that a source describes, without outputs."""
    notebook = jupytext.read(FOLDER / f"{name}.py", fmt="py:percent")
    notebook.metadata = nbformat.from_dict({"kernelspec": KERNEL, "language_info": {"name": "python"}})
    for k, cell in enumerate(notebook.cells):
        cell["id"] = f"{name.replace('_', '-')}-{k + 1:02d}"
        cell.metadata = nbformat.from_dict({"tags": cell.metadata["tags"]} if "tags" in cell.metadata else {})
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    return notebook


def execute(name: str) -> nbformat.NotebookNode:
    """Return the notebook with its outputs, run from top to bottom in an empty folder.

    Raises:
        CellExecutionError: where a cell fails.
        ValueError: where a cell writes a warning or a path of this machine.
    """
    notebook = read_source(name)
    with tempfile.TemporaryDirectory() as folder:
        where = {"metadata": {"path": folder}}
        NotebookClient(notebook, timeout=LONGEST, kernel_name="python3", resources=where, record_timing=False).execute()
    notebook.metadata["language_info"] = nbformat.from_dict({"name": "python"})
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = _joined(cell.outputs)
            for output in cell.outputs:
                _check(output, cell.source)
    nbformat.validate(notebook)
    return notebook


def _joined(outputs: list[nbformat.NotebookNode]) -> list[nbformat.NotebookNode]:
    """Return the outputs with pieces of one stream put together: where it is cut is chance."""
    joined: list[nbformat.NotebookNode] = []
    for output in outputs:
        before = joined[-1] if joined else None
        if before is not None and output.output_type == before.output_type == "stream" and output.name == before.name:
            before.text += output.text
        else:
            joined.append(output)
    return joined


def _check(output: nbformat.NotebookNode, source: str) -> None:
    text = str({key: value for key, value in output.get("data", {}).items() if not key.startswith("image/")})
    text += output.get("text", "")
    folders = (str(Path.home()), tempfile.gettempdir(), str(FOLDER.parent.resolve()))
    found = [folder for folder in folders if len(folder) > 1 and folder in text]
    if output.get("name") == "stderr" or found:
        raise ValueError(f"a cell writes to stderr, or a path of this machine:\n{source}\n{text}")


def main(names: list[str]) -> None:
    """Write the notebooks of these names, or all of them."""
    for name in names or list_names():
        nbformat.write(execute(name), FOLDER / f"{name}.ipynb")
        print(f"{name}.ipynb")


if __name__ == "__main__":
    main(sys.argv[1:])
