"""Transitions a CPU-second of the simulator, beside a memory copy of the same run, as a table or a page.

    python benchmarks/simulator.py [--quick] [--json FILE] [--write docs/speed.md] [--peers FILE]

`--peers` takes what `benchmarks/peers.py` wrote and puts it on the page.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from fractile.studies.bench import PATHS, QUICK_PATHS, as_document, as_table, benchmark, page, write_json


def main():
    """Measure, print, and write what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two numbers of paths and three repeats")
    parser.add_argument("--json", type=Path, help="where to keep the numbers")
    parser.add_argument("--write", type=Path, help="where to write the page")
    parser.add_argument("--peers", type=Path, help="numbers of benchmarks/peers.py")
    given = parser.parse_args()
    rates = benchmark(QUICK_PATHS if given.quick else PATHS, repeats=3 if given.quick else 7, progress=print)
    document = as_document(rates)
    print(as_table(document))
    if given.json:
        write_json(document, given.json)
    if given.write:
        peers = json.loads(given.peers.read_text(encoding="utf-8")) if given.peers else None
        given.write.write_text(page(document, peers), encoding="utf-8")


if __name__ == "__main__":
    main()
