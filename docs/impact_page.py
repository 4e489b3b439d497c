"""The page of what forecasts are worth, from the results of each panel; `docs/impact.py` calls it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from fractile.studies.impact.words import name_mistake, pair_text
from fractile.studies.report.text import interval, label, number, percent, period_of
from fractile.studies.sections import TRUTH

TITLES = {
    "embedded": "The embedded panel",
    "vn2": "VN2, weekly",
    "online_retail_uci": "Online Retail (UCI), weekly",
}
INTRODUCTION = """\
# What forecasts are worth

<!-- Made by docs/impact.py. -->

Every forecaster under every policy over the same held-out weeks (`fractile impact`), beside its accuracy. Forecasters
are fitted again before each fold, policies tuned on forecasts that knew nothing of what came. `spreadsheet` is a
forecast made elsewhere, read from a CSV file: the mean of the last eight weeks in stock, with the quantiles of a count
distribution of the recent variance. Intervals are 95 %, paired. *Truth* are the quantiles that the embedded panel's
demand was drawn from, as far as they can be known from the record: nobody has them. Savings are against the seasonal
naive forecast with the newsvendor.
"""


def page_of(found: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the page.

    Args:
        found: what was kept of each panel.
    """
    parts = [INTRODUCTION.strip(), "## In short", summary(found)]
    for name, piece in found.items():
        parts += [f"## {TITLES[name]}", panel_text(piece)]
    return "\n\n".join(parts) + "\n"


def summary(found: Mapping[str, Mapping[str, Any]]) -> str:
    """Return what holds, panel by panel."""
    lines = [
        "| panel | cheapest pair that can be had | saving | rank of accuracy against money, under its policy "
        "| 1 % of loss, % of cost "
        "| split adds up | CPU-minutes |",
        "|---|---|---|---|---|---|---:|",
    ]
    for name, piece in found.items():
        cells = pd.DataFrame(piece["cells"])
        best: Any = cells[cells["forecaster"] != TRUTH].iloc[0]
        policy = piece["policy"]
        ranks, worth = (_first(piece[key], policy=policy, loss="protection_loss") for key in ("ranks", "worth"))
        adds = all(
            round(row["forecast_effect_money"] + row["policy_effect_money"], 2) == row["saving_money"]
            for row in piece["split"]
        )
        lines.append(
            f"| {TITLES[name]} | {pair_text(best['forecaster'], best['policy'])} "
            f"| {percent(best['saving'])} {interval(best['saving_low'], best['saving_high'])} "
            f"| {number(ranks['correlation'], 2)} [{number(ranks['correlation_low'], 2)}, "
            f"{number(ranks['correlation_high'], 2)}] "
            f"| {number(worth['slope'], 2)} [{number(worth['slope_low'], 2)}, {number(worth['slope_high'], 2)}] "
            f"| {'to the cent' if adds else 'no'} | {piece['total_seconds'] / 60:.1f} |"
        )
    return "\n".join([*lines, "", truth_sentence(found)]).strip()


def truth_sentence(found: Mapping[str, Mapping[str, Any]]) -> str:
    """Return where the true quantiles rank in money, under each policy."""
    if "embedded" not in found:
        return ""
    cells = pd.DataFrame(found["embedded"]["cells"])
    places = []
    for policy, rows in cells.groupby("policy", sort=False):
        ordered = list(rows.sort_values("cost")["forecaster"])
        if TRUTH in ordered:
            places.append(f"{ordered.index(TRUTH) + 1} of {len(ordered)} with {label(str(policy))}")
    first = all(place.startswith("1 of") for place in places)
    opening = "The true quantiles rank first in money under every policy" if first else "The true quantiles in money"
    return f"{opening}: {', '.join(places)}."


def panel_text(piece: Mapping[str, Any]) -> str:
    """Return the section of one panel."""
    periods = period_of(piece["freq"])
    head = (
        f"{piece['items']:,} items, drawn by key where the panel has more; {piece['periods']} {periods} held out in "
        f"{piece['folds']} folds, {piece['first_date']} to {piece['last_date']}. The spreadsheet's CSV has "
        f"{piece['rows']:,} rows. {piece['total_seconds'] / 60:.1f} CPU-minutes."
    )
    findings = "\n".join(f"* {text}" for text in piece["findings"])
    parts = [head, findings, cells_table(piece), accuracy_table(piece), stairs_table(piece), split_text(piece)]
    parts += [mistakes_table(piece), notes(piece)]
    return "\n\n".join(part for part in parts if part)


def cells_table(piece: Mapping[str, Any]) -> str:
    """Return costs and savings, a row a forecaster, a column a policy."""
    cells = pd.DataFrame(piece["cells"])
    policies = list(dict.fromkeys(pd.DataFrame(piece["staircase"])["policy"]))
    order = cells.groupby("forecaster")["cost"].min().sort_values().index
    lines = [f"| forecaster | {' | '.join(label(p) for p in policies)} |", "|---|" + "---:|" * len(policies)]
    for name in order:
        texts = []
        for policy in policies:
            row = _first(piece["cells"], forecaster=name, policy=policy)
            if row is None:
                texts.append("–")
                continue
            saving = f"{percent(row['saving'])} {interval(row['saving_low'], row['saving_high'])}"
            mark = "**" if row["among_best"] else ""
            texts.append(f"{mark}{row['cost']:,.0f}{mark}, {percent(row['fill_rate'])}, {saving}")
        lines.append(f"| {label(str(name))} | {' | '.join(texts)} |")
    return "\n".join([*lines, "", "Cost a week, fill rate, saving; bold: cannot be told from the cheapest pair."])


def accuracy_table(piece: Mapping[str, Any]) -> str:
    """Return the scores of forecasters."""
    rows = sorted(piece["accuracy"], key=lambda row: row["protection_loss"])
    lines = [
        "| forecaster | loss on the protection interval | priced, a week | wql | CRPS | bias | calibration error "
        "| excess volatility | CPU-s |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        losses = f"{row['protection_loss']:.4f} | {row['priced_loss']:,.0f} | {row['wql']:.4f} | {row['crps']:.4f}"
        rest = f"{percent(row['bias'])} | {row['calibration']:.3f} | {number(row['volatility'], 3)}"
        seconds = piece["seconds"].get(row["forecaster"], float("nan"))
        lines.append(f"| {label(row['forecaster'])} | {losses} | {rest} | {seconds:.0f} |")
    return "\n".join(lines)


def stairs_table(piece: Mapping[str, Any]) -> str:
    """Return the staircase under the reference's policy."""
    policy = piece["policy"]
    lines = ["| step | cost a week | saved by the step | saved in all |", "|---|---:|---:|---:|"]
    for k, row in enumerate(row for row in piece["staircase"] if row["policy"] == policy):
        cells = [amount(row["cost"])]
        for name in ("saved", "total"):
            low, high = amount(row[f"{name}_low"]), amount(row[f"{name}_high"])
            cells.append("–" if k == 0 else f"{amount(row[name])} [{low}, {high}]")
        lines.append(f"| {label(row['step'])} | {' | '.join(cells)} |")
    return f"The staircase under {label(policy)}, money a week:\n\n" + "\n".join(lines)


def amount(value: float) -> str:
    """Return money without cents, with a minus sign."""
    return f"{value:,.0f}".replace("-", "−")


def split_text(piece: Mapping[str, Any]) -> str:
    """Return the split of each forecaster's cheapest pair."""
    split = pd.DataFrame(piece["split"])
    if not len(split):
        return ""
    rows = split.sort_values("saving", ascending=False).groupby("forecaster", sort=False).head(1)
    lines = ["| pair | saving a week | by the forecast | by the policy |", "|---|---:|---:|---:|"]
    for row in rows.itertuples():
        texts = []
        for name in ("saving", "forecast_effect", "policy_effect"):
            low, high = getattr(row, f"{name}_low"), getattr(row, f"{name}_high")
            texts.append(f"{getattr(row, f'{name}_money'):,.2f}, {percent(getattr(row, name))} {interval(low, high)}")
        lines.append(f"| {pair_text(str(row.forecaster), str(row.policy))} | {' | '.join(texts)} |")
    return "Each forecaster's cheapest pair, its saving split (Shapley):\n\n" + "\n".join(lines)


def mistakes_table(piece: Mapping[str, Any]) -> str:
    """Return what mistakes cost under each policy, and with tuning that knows of them."""
    table = pd.DataFrame(piece["miscalibration"])
    if not len(table):
        return ""
    columns = [(p, False) for p in dict.fromkeys(table.loc[~table["retuned"], "policy"])]
    columns = [(p, r) for p, r in columns if not ((table["policy"] == p) & table["retuned"]).any()]
    columns += [(p, True) for p in dict.fromkeys(table.loc[table["retuned"], "policy"])]
    heads = [f"{label(p)}{', tuned anew' if r else ''}" for p, r in columns]
    lines = [f"| mistake | {' | '.join(heads)} |", "|---|" + "---:|" * len(heads)]
    for (kind, size), rows in table[table["mistake"] != "none"].groupby(["mistake", "size"], sort=False):
        texts = []
        for policy, retuned in columns:
            row: Any = rows[(rows["policy"] == policy) & (rows["retuned"] == retuned)].iloc[0]
            texts.append(f"{percent(row['extra'])} {interval(row['extra_low'], row['extra_high'])}")
        lines.append(f"| {name_mistake(str(kind), float(size))} | {' | '.join(texts)} |")
    return "What mistakes cost, in a simulated world in which the forecast is right (extra cost):\n\n" + "\n".join(
        lines
    )


def notes(piece: Mapping[str, Any]) -> str:
    """Return how the policies came about; what is said of single items of the data stays in the run."""
    shown = [text for text in piece["study_notes"] if "'" not in text]
    return "\n".join(f"* {text}" for text in [*shown, *piece["notes"]])


def _first(rows: list[dict[str, Any]], **keys: Any) -> Any:
    return next((row for row in rows if all(row[key] == value for key, value in keys.items())), None)
