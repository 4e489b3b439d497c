"""The report as one HTML file that loads nothing from outside."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..folder import read_manifest, replace_file
from ..league.page import build_lineage_page, lineage_section
from . import figures as plots, findings
from .read import LEAGUE, Run, read_run
from .text import label, number, percent

if TYPE_CHECKING:
    from markupsafe import Markup

REPORT = "report.html"


@dataclass(frozen=True)
class ItemPicture:
    """The figure of one item.

    Attributes:
        item: its id.
        facts: its saving, lead time and critical ratio.
        svg: the figure.
    """

    item: str
    facts: str
    svg: Markup


def build_report(folder: Path) -> Path:
    """Write `report.html` from the files of a run folder, the same bytes for the same files.

    A folder of `fractile lineage` gets its `lineage.html`.

    Args:
        folder: the run folder, finished or about to be.

    Returns:
        The report's path.

    Raises:
        FractileError: where a file that a report needs is missing or damaged.
    """
    folder = Path(folder)
    if read_manifest(folder).get("kind") == LEAGUE:
        return build_lineage_page(folder)
    page = render(read_run(folder))
    return replace_file(folder / REPORT, lambda path: path.write_text(page, encoding="utf-8", newline="\n"))


def render(run: Run) -> str:
    """Return the page."""
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"label": label, "percent": percent, "number": number}
    texts = files(__package__ or "")
    template = environment.from_string(texts.joinpath("report.html.j2").read_text(encoding="utf-8"))
    changes, table, period = findings.compare_items(run), run.comparison, run.periods(1)
    compared: dict[str, Any] = {"baseline": run.baseline, "level": run.level}
    value, scores, several = run.forecast_value, findings.all_horizons(run.scores), len(table) > 1
    figures = {
        "forest": plots.draw_savings(table, **compared) if several else None,
        "forest_narrow": plots.draw_savings(table, **compared, width=380, key="narrow") if several else None,
        "split": plots.draw_cost_split(table, baseline=run.baseline, period=period),
        "service": plots.draw_service(table, baseline=run.baseline, period=period),
        "item_savings": plots.draw_item_savings(changes.saving, period=period) if changes else None,
        "value": plots.draw_forecast_value(value, **compared, best=run.best) if len(value) else None,
        "calibration": plots.draw_calibration(scores) if len(scores) else None,
    }
    seconds = run.manifest.get("cpu_seconds") or {}
    # Waste, revenue and salvage are costs, too, but in none of the three parts that the table shows.
    parts = table["holding"] + table["stockout"] + table["ordering"]
    other_costs = bool(((table["cost"] - parts).abs() > 1e-6 * (1 + table["cost"].abs())).any())
    return template.render(
        css=Markup(texts.joinpath("report.css").read_text(encoding="utf-8")),
        run=run,
        manifest=run.manifest,
        answer=findings.summarise(run),
        figures={name: svg and Markup(svg) for name, svg in figures.items()},
        rows=findings.comparison_rows(run),
        other_costs=other_costs,
        items=list(_items(run, changes)),
        worse_off=changes,
        forecasters=findings.forecaster_rows(run),
        forecaster_sentence=findings.describe_forecasters(run),
        valued_policies=findings.valued_policies(run),
        lineage=Markup(lineage_section(run.lineage)) if run.lineage else "",
        orders=findings.summarise_orders(run),
        policy_notes=findings.policy_notes(run),
        baseline_sentence=findings.describe_baseline(run),
        interval_method=findings.describe_intervals(run),
        data_rows=findings.data_rows(run),
        method_rows=findings.method_rows(run),
        cpu=sorted(seconds.items(), key=lambda entry: -entry[1]),
        cpu_total=sum(seconds.values()),
    )


def _items(run: Run, changes: findings.ItemChanges | None) -> Iterator[ItemPicture]:
    """Draw the items that the run kept forecasts or history of."""
    from markupsafe import Markup

    paths = dict(list(run.trajectories.groupby("item_id", sort=False)))
    for i, item in enumerate(dict.fromkeys([*run.fans["item_id"], *run.history["item_id"]])):
        if item not in paths or not {run.baseline, run.best} <= set(paths[item]["policy"]):
            continue
        fan = run.fans[run.fans["item_id"] == item]
        svg = plots.draw_item(
            f"item{i}",
            paths[item],
            fan[fan["origin_date"] == fan["origin_date"].min()],
            run.history[run.history["item_id"] == item],
            baseline=run.baseline,
            best=run.best,
            period=run.periods(1),
        )
        facts = findings.describe_item(run, changes, item)
        yield ItemPicture(str(item), facts, Markup(svg))
