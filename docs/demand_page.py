"""The page about simulated demand, from what docs/demand.py kept and from hand-written notes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from demand_measures import paired
from demand_pictures import draw_panel
from lineage_page import bold, fragments, wrapped

from fractile.studies.report.text import interval, join_words, label, percent

TRUTH = "truth"
Pieces = Mapping[str, list[dict[str, Any]]]
WITHIN = {"first": 0.03, "last": 0.03, "total_sd": 0.15, "lag1": 0.03, "zeros": 0.03}
"""How far from the true law simulated demand may be: relative, and in units of the measure for the last two."""
GOOD = 1.06
"""Loss over that of the true quantiles given the record that is asked of the best forecaster."""
BASELINE = "lightgbm"
SUMS = {"mask": "sums in stock", "bound": "stock-outs as bounds", "true": "true demand"}
NETWORKS = ("mqmlp", "rnn", "deepar", "mqrnn", "mqcnn", "mqtransformer", "quantile_function")
WORLDS = {"embedded": "The embedded panel", "second": "The second generator"}
REAL = ("vn2", "online_retail_uci", "freshretailnet50k")
PICTURES = {"embedded": "the embedded panel", "vn2": "VN2", "freshretailnet50k": "FreshRetailNet-50K"}

INTRODUCTION = """\
# Demand that comes true

<!-- Made by docs/demand.py; the explanations come from docs/demand_notes.md. -->
"""


def write_page(work: Path, page: Path, notes: Path) -> None:
    """Write the page of all that is in the work folder, and its pictures.

    Args:
        work: folder of the parts.
        page: the file to write; pictures go into the folder `pictures` beside it.
        notes: hand-written text, a section a part.
    """
    written = fragments(notes.read_text(encoding="utf-8"))
    pictures = page.parent / "pictures"
    pictures.mkdir(parents=True, exist_ok=True)
    parts = [INTRODUCTION.strip(), written.get("introduction", "")]
    for kind, title in WORLDS.items():
        pieces = read(work / kind)
        if len(pieces) > 1:
            parts += [f"## {title}", written.get(kind, ""), law_table(pieces), picture(work, kind, pictures)]
            parts.append(written.get(f"{kind} findings", ""))
    found = {kind: read(work / kind) for kind in (*REAL, *WORLDS)}
    found = {kind: {k: v for k, v in pieces.items() if k != TRUTH} for kind, pieces in found.items() if pieces}
    if found:
        parts += ["## Sums over the protection interval", written.get("sums", ""), sums_tables(found)]
        parts.append(written.get("sums findings", ""))
    real = {kind: pieces for kind, pieces in found.items() if kind in REAL}
    if real:
        parts += ["## Real panels", written.get("real", ""), shocks_table(real), transform_table(real)]
        parts += [*(picture(work, kind, pictures) for kind in real), written.get("real findings", "")]
    dead = read(work / "dead")
    if dead:
        parts += ["## Beside dead items", written.get("dead", ""), dead_table(dead), written.get("dead findings", "")]
    page.write_text("\n\n".join(part for part in parts if part) + "\n", encoding="utf-8", newline="\n")
    print(f"{page}: written")


def read(folder: Path) -> Pieces:
    """Return the pieces of a part: by name, in the order of their seeds."""
    found: dict[str, list[dict[str, Any]]] = {}
    for path in sorted(folder.glob("*.json")):
        piece = json.loads(path.read_text(encoding="utf-8"))
        found.setdefault(piece["name"], []).append(piece)
    order = ["truth", "croston", "ets", "patchwork", "lightgbm"]
    return dict(sorted(found.items(), key=lambda one: order.index(one[0]) if one[0] in order else len(order)))


def picture(work: Path, kind: str, folder: Path) -> str:
    """Draw the picture of a panel, where there is one, and return the line that shows it."""
    kept = work / kind / "picture.npz"
    if kind not in PICTURES or not kept.is_file():
        return ""
    with np.load(kept) as arrays:
        draw_panel({name: arrays[name] for name in arrays.files}, folder / f"demand-{kind}.png")
    return f"![Real and simulated demand of {PICTURES[kind]}](pictures/demand-{kind}.png)"


def law_table(pieces: Pieces) -> str:
    """Simulated demand against the true law, a row a forecaster; what is within what is asked is bold."""
    truth = {piece["seed"]: piece for piece in pieces[TRUTH]}
    law = {key: np.mean([piece["law"][key] for piece in truth.values()]) for key in ("lag1", "zeros", "pairs")}
    lines = [
        "| forecaster | weeks 1–4 | weeks 23–26 | sd of the total | lag 1 | zeros | pairs | loss | fit |",
        f"|---|{'---:|' * 8}",
        f"| *true law* | *1* | *1* | *1* | *{law['lag1']:.3f}* | *{law['zeros']:.3f}* | *{law['pairs']:.3f}* | *1* | |",
        "| *asked* | *± 0.03* | *± 0.03* | *± 0.15* | *± 0.03* | *± 0.03* | | *best ≤ 1.06* | |",
    ]
    for name, each in pieces.items():
        if name == TRUTH:
            continue
        cells = [label(name)]
        for key in ("first", "last"):
            ratio = mean(each, key) / true_mean(each, truth, key)
            error = np.sqrt(sum(piece["law"][f"{key}_error"] ** 2 for piece in each)) / len(each)
            text = f"{ratio:.3f} ± {2 * error / true_mean(each, truth, key):.3f}"
            cells.append(bold(text, abs(ratio - 1) <= WITHIN[key]))
        spread = np.mean([piece["law"]["total_sd"] / truth[piece["seed"]]["law"]["total_sd"] for piece in each])
        paths = sum(piece["law"]["paths"] for piece in each)
        text = f"{spread:.2f} ± {2 * spread / np.sqrt(2 * paths):.2f}"
        cells.append(bold(text, abs(spread - 1) <= WITHIN["total_sd"]))
        for key in ("lag1", "zeros"):
            cells.append(
                bold(f"{mean(each, key):.3f}", abs(mean(each, key) - true_mean(each, truth, key)) <= WITHIN[key])
            )
        loss = np.mean([piece["wql"] / truth[piece["seed"]]["wql"] for piece in each])
        cells += [f"{mean(each, 'pairs'):.3f}", bold(f"{loss:.3f}", loss <= GOOD)]
        cells.append(f"{np.mean([piece['fit_seconds'] for piece in each]):.0f}")
        lines.append(f"| {' | '.join(cells)} |".replace("| -", "| −").replace("**-", "**−"))
    return "\n".join(lines)


def mean(pieces: list[dict[str, Any]], key: str) -> float:
    return float(np.mean([piece["law"][key] for piece in pieces]))


def true_mean(pieces: list[dict[str, Any]], truth: dict[int, dict[str, Any]], key: str) -> float:
    """Return the mean over the same seeds of the true law's measure."""
    return float(np.mean([truth[piece["seed"]]["law"][key] for piece in pieces]))


def sums_tables(found: dict[str, Pieces]) -> str:
    """Mean pinball loss of sums over the protection interval, a column a panel, and the best network against trees."""
    return "\n\n".join(f"{sums_table(found, key)}\n\n{differences(found, key)}" for key in SUMS)


def sums_table(found: dict[str, Pieces], key: str) -> str:
    kinds = [kind for kind in found if key != "true" or kind in WORLDS]
    names = list(dict.fromkeys(name for kind in kinds for name in found[kind]))
    table = {name: [loss_of(found[kind], name, key) for kind in kinds] for name in names}
    best = np.nanmin(np.array(list(table.values())), axis=0) if kinds else []
    lines = [f"| {SUMS[key]} | {' | '.join(kinds)} |", f"|---|{'---:|' * len(kinds)}"]
    for name, row in table.items():
        cells = [bold(f"{x:.{digits(x)}f}", x == least) if x == x else "–" for x, least in zip(row, best, strict=True)]
        lines.append(f"| {label(name)} | {' | '.join(cells)} |")
    return "\n".join(lines) if kinds else ""


def digits(value: float) -> int:
    """Return after how many decimals a loss is cut: small ones are told apart by their fourth."""
    return 4 if value < 1 else 3


def loss_of(pieces: Pieces, name: str, key: str) -> float:
    return float(np.mean([piece["sums"][key] for piece in pieces[name]])) if name in pieces else np.nan


def differences(found: dict[str, Pieces], key: str) -> str:
    """The best network against lightgbm on each panel, paired."""
    said = []
    for kind, pieces in found.items():
        nets = [name for name in pieces if name in NETWORKS]
        if not nets or BASELINE not in pieces or (key == "true" and kind not in WORLDS):
            continue
        best = min(nets, key=lambda name, pieces=pieces: loss_of(pieces, name, key))
        gain = paired(*stacked(pieces[BASELINE], pieces[best], key))
        less, low, high = gain["saving"], gain["low"], gain["high"]
        more = f"{percent(-less)} {interval(-high, -low)} more"
        much = f"{percent(less)} {interval(low, high)} less" if less >= 0 else more
        said.append(f"{kind} {label(best)} {much}")
    return wrapped(f"The best network against {label(BASELINE)}: {join_words(said)}.") if said else ""


def stacked(baseline: list[dict[str, Any]], other: list[dict[str, Any]], key: str) -> list[np.ndarray]:
    """Return the losses of both on the same sums, (origins, items).

    A generator makes another panel for each seed: the items of the seeds that both were run with stand beside each
    other. A real panel is the same for all seeds, and losses are averaged over them.
    """
    sides = [
        {piece["seed"]: np.array(piece["cells"][key], dtype=float) for piece in side} for side in (baseline, other)
    ]
    if "made" not in baseline[0]:
        return [np.mean(list(side.values()), axis=0) for side in sides]
    seeds = sorted(set(sides[0]) & set(sides[1]))
    return [np.concatenate([side[seed] for seed in seeds], axis=1) for side in sides]


def shocks_table(real: dict[str, Pieces]) -> str:
    """Weekly spread of totals and pair correlations, on record and in simulated demand."""
    lines = [
        "| panel | forecaster | spread, real | spread, simulated | pairs, real | pairs, simulated |",
        "|---|---|---:|---:|---:|---:|",
    ]
    for kind, pieces in real.items():
        for name, each in pieces.items():
            if "shocks" not in each[0]:
                continue
            shocks = each[0]["shocks"]
            cells = [kind, label(name)]
            for now, drawn in (("spread", "spreads"), ("pairs", "pairs_simulated")):
                low, middle, high = np.quantile(shocks[drawn], [0.05, 0.5, 0.95])
                text = f"{middle:.3f} [{low:.3f}, {high:.3f}]".replace("-", "−")
                cells += [f"{shocks[now]:.3f}", bold(text, low <= shocks[now] <= high)]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) if len(lines) > 2 else ""


def transform_table(real: dict[str, Pieces]) -> str:
    """Whether sums over the protection interval fall evenly below the levels of their forecasts."""
    lines = [
        "| panel | forecaster | below 0.1 | 0.5 | 0.9 | levels inside | as bounds: 0.1 | 0.5 | 0.9 | levels inside |",
        f"|---|---|{'---:|' * 8}",
    ]
    for kind, pieces in real.items():
        for name, each in pieces.items():
            cells = [kind, label(name)]
            for rows in each[0]["transform"].values():
                inside = sum(row["low"] <= row["level"] <= row["high"] for row in rows)
                cells += [f"{rows[i]['share']:.2f}" for i in (0, 4, 8)]
                cells.append(bold(f"{inside} of {len(rows)}", inside == len(rows)))
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def dead_table(pieces: Pieces) -> str:
    """Quantiles of live items beside dead ones, a row a forecaster."""
    counts = [row["dead"] for row in next(each[0]["rows"] for each in pieces.values() if each[0]["rows"])]
    columns = [f"{kind}, {count}" for kind in ("week", "four weeks") for count in counts]
    lines = [f"| forecaster | {' | '.join(columns)} | a dead one |", f"|---|{'---:|' * (len(columns) + 1)}"]
    for name, each in pieces.items():
        rows = each[0]["rows"]
        if rows:
            cells = [f"{row[key]:.1f}" for key in ("one", "four") for row in rows]
            gone = [row["gone"] for row in rows if row["gone"] is not None]
            lines.append(f"| {label(name)} | {' | '.join(cells)} | {max(gone):.1f} |")
    return "\n".join(lines)
