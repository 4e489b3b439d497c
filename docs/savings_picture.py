"""Draw the picture of README and first page from the run folder of a study.

fractile study --quick --baseline base_stock --out runs/first
python docs/savings_picture.py runs/first
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import matplotlib as mpl

mpl.use("svg")
import matplotlib.pyplot as plt
import pandas as pd

from fractile.studies.report.savings import plot_savings

PICTURE = Path(__file__).parent / "pictures" / "savings.svg"


def main(run):
    """Draw the savings of a run folder."""
    table = pd.read_parquet(run / "comparison.parquet")
    manifest = json.loads((run / "manifest.json").read_text(encoding="utf-8"))
    mpl.rcParams |= {"svg.fonttype": "none", "svg.hashsalt": "savings", "font.family": ["sans-serif"]}
    _, axes = plt.subplots(figsize=(6.4, 3.4), layout="constrained")  # narrow: it has to be read on a phone, too
    plot_savings(table, baseline=manifest["baseline"], level=manifest["level"], ax=axes)
    axes.spines[["top", "right"]].set_visible(False)
    axes.figure.savefig(PICTURE, metadata={"Date": None, "Creator": None})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
