"""Write docs/statistics.md from kept pieces."""

from __future__ import annotations

import json
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np
import pandas as pd
from statistics_checks import page as checks_page, pieces as check_pieces

WIDTH = 116

HEAD = """# Intervals that cover

<!-- Made by docs/intervals.py. -->

A saving is one minus the ratio of two sums over the same item-weeks. What its interval is worth depends on what
those cells share: shocks that all items feel in the same week, shocks that last, items that keep their ways, and
the luck of training. `python docs/intervals.py` makes this page (`--quick` tries it; {seconds:.0f} CPU-seconds in
all).

How `fr.statistics.paired_saving` computes an interval on one history:

1. *Influence.* Each item-week moves the saving by `(ratio · baseline − cost) / Σ baseline` (delta method).
2. *Items.* Each item is left out once (jackknife): where a few items carry the cost, their weight counts.
3. *Weeks.* The influences of a week are summed over items, so that what all items share adds up. The variance of
   the sum of that series is taken from its lowest frequencies, a few cosines (Müller 2007; equally weighted
   cosines, Lazarus, Lewis, Stock and Watson 2018): 5 of 12 weeks, 7 of 26, 10 of 52. With B cosines the interval is
   one of Student's t with B degrees of freedom, whatever the dependence, as long as the spectrum is flat over those
   frequencies; the spectrum of an AR(1), whose coefficient is shrunk to 0.5 (standard deviation 0.2) because a
   series of weeks says little of it, carries them to frequency zero.
4. *Both.* What is an item's and a week's own is in both sums, and is taken off once, cosine by cosine. The degrees
   of freedom of the sum are Welch's and Satterthwaite's.
5. *Rare, dear weeks* make the saving skewed: the side of the long tail reaches further, by the Cornish-Fisher
   expansion of a studentised mean; the other side is not shortened.
6. *Training seeds.* The saving of a learned policy is that of the mean over its seeds; their spread, divided by
   their number, is a further variance, whose t has as many degrees of freedom as seeds, less one. The squares of both
   reaches add up (Zou and Donner 2008).
7. *Trust.* From the AR(1) coefficient φ of the weeks' sums, corrected for its bias (Kendall 1954), follows how many
   weeks in a row are as good as one, (1 + φ) / (1 − φ). Where that is more than a quarter of the weeks, so that fewer
   than four independent stretches are seen, the interval is flagged: it cannot be trusted.

The number of cosines, the shrinkage and the degrees of freedom were chosen on other settings than those below: shocks
of standard deviation 0 to 0.32 with AR 0 to 0.55, 20 to 90 items, 12 to 45 weeks, other draws. *vn2* and *strong* below
were looked at on the way: a first choice covered two points less there.
"""

COVERAGE = """## Coverage

{histories} histories of each setting, 100 items drawn anew for each (sizes, variation and stock-out costs), lost
sales, played with `fr.step`. Shocks multiply the demand of all items: *vn2* and *embedded panel* are as strong as
measured there (standard deviation of the logarithm 0.24 and 0.12, AR 0.22 and 0.26), *strong* is 0.3 with AR 0.5.
The baseline orders up to the newsvendor's level. *Level*: the policy holds 60 % (L = 1) or 93 % (L = 2) of its
safety stock; *shape*: it orders at most 1.6 times the mean. The true saving is that of {truth:,} other histories of
52 weeks.

*Covers*: per cent of the 95 % intervals that hold the true saving, ± one binomial standard error; *bold* is between
92 and 98 within two of them. *Before*: the intervals of earlier versions (two-way clusters, items × blocks of
weeks). *Width*: mean width, in percentage points; *ideal*: that of an interval that knows the standard deviation of
the saving. *Lasts*: how many weeks in a row are as good as one, from the long run. *Flagged*: per cent
that say they cannot be trusted; *then*: coverage of those that do not.

| shocks | policies | saving | lasts | weeks | covers | before | width | ideal | flagged | then |
|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|
"""

AFTER_COVERAGE = """A policy whose stock drifts is another matter. Against a *constant order* of 0.9 times the
mean, what a shock does to the stock lasts for months, in a series that hides it under the weeks' noise:

| shocks | policies | saving | lasts | weeks | covers | before | width | ideal | flagged | then |
|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|
{drift}

No interval from one such window can see that, and the flag finds it in few. The second interval (below) does, as far as
the simulated demand is right, because simulated histories drift, too.
"""

STUDIES = """## Several policies, and seeds

{studies} studies of 300 items and 26 weeks with shocks as on vn2, L = 2, and six policies that differ from the
baseline by 5 or 8 % of its safety stock, or by a cap on orders of 2 or 2.5 times the mean. Costs are scaled so that
nothing is saved truly; then 3 % is planted in each of the six in turn.

| | asked | found |
|---|---:|---:|
| a planted saving of 3 % is proven, among six policies: mean of the six | ≥ 80 % | {found} |
| … and its interval is not flagged | | {trusted} |
| a saving is proven where there is none, among six | ≤ 4 % | {nothing} |
| the one that saves 3 % is among those that cannot be told from the best | ≥ 95 % | {best} |
| … and alone there | | {apart} |
| luck of eight seeds of one learner (2 % each) is proven, entered as eight runs of it | ≤ 5 % | {as_policies} |
| luck of three seeds is proven, as `study` trains them | ≤ 2.5 % | {as_seeds} |
| the interval of the mean of three seeds covers | 95 % | {inside} |

{each}

`fr.statistics.rank_policies` tests all savings together: proven is what stands out although several policies were
compared (Dunnett 1955, from the largest down), with intervals of 95 % for all at once; a policy may be the cheapest
unless another is proven cheaper (multiple comparisons with the best, Hsu 1996). The law of the largest score is
drawn from the joint law of the influences.

Eight networks of one learner, entered as eight policies, are one policy with eight seeds once they are known to be:
`fr.compare` knows them by their names ("ppo 1", "ppo 2"), `rank_policies` by `families=`. Unrecognised, a saving is
proven in {unrecognised} of these studies, and rightly so of that very network: its luck is its own and stays with
it. What is not proven then is that training again would give as good a one."""

TAIL = """## Two more intervals

*In simulation* (`fr.statistics.simulated_saving`): many histories drawn from the forecaster, with shocks in common,
give the mean saving as tightly as one likes, and the spread of the saving of one history about it. The second
interval of a study is the realised saving with that spread, by the order statistics of the simulated errors;
histories may come from several refitted truths, whose differences then count.

*How much more* (`fr.statistics.weeks_to_prove`, `items_to_prove`): the variance falls into what lasts in an item
(more items make it smaller, more weeks do not), what all items share (the other way round), what is an item's and a
week's own (both do) and the spread between seeds (neither does). From these follows how many more weeks, or items,
would prove the saving seen with 80 % power; where none would, that is said.

## What the intervals do not cover

- Another kind of period than the weeks seen: a season that is not in the window, a change of prices, a lasting
  break.
- Shocks that outlast a quarter of the window. They are flagged where they show in the series; those of a drifting
  stock, above, hardly do. In 12 weeks the estimate itself is so coarse that one interval in ten is flagged without
  need; and where shocks last, those that are not flagged cover less than all do, because a low estimate both spares
  the flag and narrows the interval. 26 weeks are better than 12 in every respect.
- The last points of strong shocks at long lead times: 90 % instead of 95 of them are covered in 26 weeks.
- Demand that nobody saw: a stock-out in the history hides it, and a study's interval takes the stand-in as given.
- One training run: without further seeds the luck of training is not in the interval; the report then says so.
- The items as they are: items count as drawn from a population of such items. For these very items and no others
  the intervals are somewhat wide.
- Choices made on the held-out weeks themselves, whoever makes them."""


def read(work: Path, part: str) -> list[dict[str, Any]]:
    """Read the kept pieces of a part."""
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted((work / part).glob("*.json"))]


def percent(share: float, places: int = 1) -> str:
    return f"{100 * share:.{places}f}"


def with_error(share: float, number: int) -> str:
    return f"{percent(share)} ± {percent(float(np.sqrt(max(share * (1 - share), 0.0) / number)))}"


def holds(share: float, number: int) -> bool:
    """Whether coverage is between 92 and 98 % within two binomial standard errors."""
    error = 2 * np.sqrt(max(share * (1 - share), 0.25 / number) / number)
    return bool(0.92 - error <= share <= 0.98 + error)


def coverage_rows(piece: dict[str, Any]) -> list[str]:
    kind, _, pair = piece["name"].partition(", ")
    lines = []
    for row in piece["rows"]:
        covers = with_error(row["inside"], piece["histories"])
        then = "" if row["inside_trusted"] is None else percent(row["inside_trusted"])
        cells = [
            *(
                (kind, pair, percent(piece["truth"]), f"{piece['lasting']:.1f}")
                if row is piece["rows"][0]
                else [""] * 4
            ),
            str(row["weeks"]),
            f"**{covers}**" if holds(row["inside"], piece["histories"]) else covers,
            percent(row["before"]),
            percent(row["width"]),
            percent(row["ideal"]),
            percent(row["untrusted"], 0),
            then,
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def named(pairs: list[tuple[dict[str, Any], dict[str, Any]]]) -> str:
    """Name settings, with their coverage."""
    return "; ".join(f"{p['name']}, {row['weeks']} weeks: {percent(row['inside'])}" for p, row in pairs)


def summary(pieces: list[dict[str, Any]]) -> str:
    """Say how many settings hold, where the others are, and how wide the intervals are."""
    every = sorted(((p, row) for p in pieces for row in p["rows"]), key=lambda pair: pair[1]["inside"])
    inside = [(p, row) for p, row in every if p["lasting"] <= row["weeks"] / 4]
    outside = [(p, row) for p, row in every if p["lasting"] > row["weeks"] / 4]
    others = [(p, row) for p, row in inside if not holds(row["inside"], p["histories"])]
    ratio = [row["width"] / row["ideal"] for _, row in inside]
    before = [row["before"] for _, row in inside]
    text = (
        f"Where shocks pass within a quarter of the window, {len(inside) - len(others)} of {len(inside)} settings "
        f"cover 92 to 98 % within two standard errors. The lowest three are {named(inside[:3])}. "
        + (f"Beyond are {named(others)}. " if others else "")
        + f"Before it was {percent(min(before))} to {percent(max(before))} %. The intervals are {np.mean(ratio):.2f} "
        f"times as wide as the ideal on average ({min(ratio):.2f} to {max(ratio):.2f})."
    )
    if outside:
        flagged = percent(float(np.mean([row["untrusted"] for _, row in outside])), 0)
        text += f" Where shocks outlast it ({named(outside)}), {flagged} % of the intervals are flagged."
    return text


def write_page(work: Path, page: Path) -> None:
    """Write the page of all pieces that are there."""
    from intervals import PAIRS, WORLDS, Size

    order = [f"{kind}, {pair}" for kind in WORLDS for pair in PAIRS]
    pieces = sorted(read(work, "coverage"), key=lambda piece: order.index(piece["name"]))
    drift = read(work, "drift")
    found = {piece["name"]: piece for piece in read(work, "studies")}
    seconds = sum(piece["seconds"] for piece in [*pieces, *drift, *found.values(), *read(work, "checks")])
    parts = [HEAD.format(seconds=seconds)]
    if pieces:
        rows = "\n".join(line for piece in pieces for line in coverage_rows(piece))
        parts.append(COVERAGE.format(histories=pieces[0]["histories"], truth=Size().truth) + rows)
        parts.append(fill(summary(pieces), WIDTH))
        shown = "\n".join(line for piece in drift for line in coverage_rows(piece))
        parts.append(AFTER_COVERAGE.format(drift=shown))
    if {"planted", "seeds"} <= set(found):
        planted, seeds = found["planted"], found["seeds"]
        shares = {name: f"{percent(planted[name])} %" for name in ("found", "trusted", "nothing", "best", "apart")}
        shares |= {name: f"{percent(seeds[name])} %" for name in ("as_policies", "as_seeds", "inside", "unrecognised")}
        each = ", ".join(
            f"{name} ({percent(planted['spread'][name], 2)} %: {percent(share, 0)} %)"
            for name, share in planted["each"].items()
        )
        each = fill(
            "By policy (standard deviation of its saving over studies: share in which 3 % is proven): "
            f"{each}. What differs more from the baseline needs more weeks.",
            WIDTH,
        )
        parts.append(STUDIES.format(studies=planted["studies"], each=each, **shares))
    counted = {piece["name"]: piece for piece in read(work, "checks")}
    if counted:
        in_order = [counted[name] for name, _ in check_pieces() if name in counted]
        parts.append(checks_page(pd.DataFrame(in_order)))
    parts.append(TAIL)
    page.write_text("\n\n".join(part.strip("\n") for part in parts) + "\n", encoding="utf-8")
