"""The record of a run: the events of a period, the data used, and how it was computed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .read import Run
from .template import render_template
from .text import percent


def record_section(run: Run) -> str:
    """Return the timeline, the data and the method of a run."""
    seconds = run.manifest.get("cpu_seconds") or {}
    return render_template(
        "record",
        run=run,
        manifest=run.manifest,
        interval_method=describe_intervals(run),
        data_rows=data_rows(run),
        method_rows=method_rows(run),
        cpu=sorted(seconds.items(), key=lambda entry: -entry[1]),
        cpu_total=sum(seconds.values()),
    )


def describe_intervals(run: Run) -> str:
    """Return how the intervals were computed, in a sentence or two."""
    block, clusters = run.manifest.get("block"), run.manifest.get("clusters", "auto")
    start = (
        f"The intervals have a level of {percent(run.level, 0)}. A saving is one minus the ratio of summed costs "
        "over the same demand; its error follows from each cell’s influence on that ratio (delta method)"
    )
    if clusters == "path":
        return f"{start}, with demand paths as independent clusters, each left out once (jackknife), and Student’s t."
    if block:  # a run of an earlier version
        return (
            f"{start}, with two-way clusters over items × blocks of {block} {run.periods(int(block))} (Cameron, "
            "Gelbach and Miller 2011), each cluster left out once (jackknife), and Student’s t."
        )
    return (
        f"{start}, each item left out once (jackknife), beside the long-run variance of what all items share, from a "
        "few equally weighted cosines over the held-out periods (Müller 2007; Lazarus, Lewis, Stock and Watson 2018), "
        "and Student’s t with about as many degrees of freedom as cosines. Where a policy is learned, the spread "
        "between its training seeds counts, too."
    )


def data_rows(run: Run) -> list[tuple[str, str]]:
    """Describe the data, name and text."""
    data: Mapping[str, Any] = run.manifest.get("data", {})
    test: Mapping[str, Any] = run.manifest.get("backtest", {})
    rows = [
        ("source", data.get("source")),
        ("items", data.get("items") and f"{data['items']:,}"),
        ("history", data.get("periods") and f"{data['periods']:,} {run.periods()}"),
        ("from", data.get("first_date")),
        ("to", data.get("last_date")),
        ("frequency", data.get("freq")),
        ("out of stock", data.get("stockout_share") is not None and percent(data["stockout_share"])),
        ("no sale", data.get("zero_share") is not None and percent(data["zero_share"])),
        ("held out", test.get("periods") and f"{test['periods']} {run.periods()}"),
        ("held out from", test.get("first_date")),
        ("held out to", test.get("last_date")),
    ]
    return [(name, str(text)) for name, text in rows if text]


def method_rows(run: Run) -> list[tuple[str, str]]:
    """Return how the run was computed, name and text."""
    made, test = run.manifest, run.manifest.get("backtest", {})
    warm, weeks = test.get("warm_up_periods"), run.periods()
    rows = [
        ("command", made.get("command")),
        ("seed", made.get("seed")),
        ("created", made.get("created")),
        ("forecaster", made.get("forecaster")),
        ("validation", _validation(run)),
        ("warm-up", warm and f"{warm} {weeks} were simulated before the held-out ones, and do not count"),
        ("versions", ", ".join(f"{name} {version}" for name, version in made.get("versions", {}).items())),
    ]
    return [(name, str(text)) for name, text in rows if text is not None and text != ""]


def _validation(run: Run) -> str | None:
    """Return what the periods before the held-out ones were for."""
    test, size = run.manifest.get("backtest", {}), run.manifest.get("learning") or {}
    periods, weeks = test.get("validation_periods"), run.periods()
    if not periods:
        return None
    if size.get("kept_periods") == 0 or not test.get("refits"):
        return f"policies were tuned on the {periods} {weeks} before the held-out ones"
    return f"policies were chosen on the {periods} {weeks} before the held-out ones, which nothing was trained on"
