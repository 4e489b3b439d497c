"""Measure what policies earn: `python docs/policies.py --data FOLDER --work FOLDER`.

Writes docs/policies.md. Each section keeps its pieces in the work folder as soon as they are done; a second call runs
what is missing, and writes the page of all that is there. `--only` chooses sections, `--fresh` runs them again,
`--quick` tries the script. Panels that are not in the data folder are left out, and that is said.
"""

from __future__ import annotations

import argparse
import importlib
import time
from pathlib import Path
from types import ModuleType

import pandas as pd
from policies_settings import Settings

HERE = Path(__file__).parent
SECTIONS = ("theory", "classical", "agents", "generalist", "panels")
INTRODUCTION = """\
# What policies earn

<!-- Made by docs/policies.py. -->

A gap is a policy's cost above the optimum (or above the best that is known, where the table says so), in percent of
it. Costs are a period's and an item's, in [the one timeline](concepts/timeline.md). CPU-seconds are those of
training, on one thread.
"""


def section(name: str) -> ModuleType:
    """Return the module of a section: `measure(settings)` makes its frame, `page(frame)` its text."""
    return importlib.import_module(f"policies_{name}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=HERE.parent.parent / "shared" / "data", help="folder of panels")
    parser.add_argument("--work", type=Path, default=Path("runs") / "policies", help="folder of results")
    parser.add_argument("--page", type=Path, default=HERE / "policies.md", help="the page to write")
    parser.add_argument("--only", default="", help=f"sections, with commas between them: {', '.join(SECTIONS)}, page")
    parser.add_argument("--seeds", type=int, default=3, help="how many")
    parser.add_argument("--quick", action="store_true", help="tiny runs, to try the script")
    parser.add_argument("--fresh", action="store_true", help="run again what is there")
    parser.add_argument("--kept", action="store_true", help="run nothing: the page of what is in the work folder")
    given = parser.parse_args()
    chosen = [name for name in given.only.split(",") if name] or [*SECTIONS, "page"]
    unknown = sorted(set(chosen) - {*SECTIONS, "page"})
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}; sections: {', '.join(SECTIONS)}, page")
    work, data = given.work.absolute(), given.data.absolute()
    seeds = tuple(range(given.seeds))
    settings = Settings(work, data if data.is_dir() else None, seeds, given.quick, given.fresh, given.kept)
    work.mkdir(parents=True, exist_ok=True)
    for name in chosen:
        if name in SECTIONS:
            section(name).measure(settings).to_parquet(work / f"{name}.parquet")
    print(f"{time.process_time():.0f} CPU-seconds in all")
    if "page" in chosen:
        write_page(work, given.page)


def write_page(work: Path, page: Path) -> None:
    """Write the page of the sections whose frames are in the work folder."""
    found = [(name, work / f"{name}.parquet") for name in SECTIONS]
    parts = [section(name).page(pd.read_parquet(path)).strip() for name, path in found if path.is_file()]
    page.write_text("\n\n".join([INTRODUCTION.strip(), *parts]) + "\n", encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
