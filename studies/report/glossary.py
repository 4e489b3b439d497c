"""The glossary: the terms that a report uses, each in a sentence."""

from __future__ import annotations

import re

from .read import Run
from .template import render_template

TERMS = {
    "baseline": "The policy that savings are measured against: named beforehand, or the classical policy that cost "
    "least before the held-out periods.",
    "critical ratio": "b / (b + h): the share of periods in which it pays to meet all demand.",
    "fill rate": "Share of demanded units that were met from stock at once.",
    "fold": "A stretch of held-out periods with forecasters fitted, and policies tuned, on what was before it.",
    "held out": "Periods at the history’s end that neither forecasters nor policies had seen when they decided.",
    "interval": "Where the true saving lies with the stated confidence, given how much it moves over items and time.",
    "lead time": "Periods from an order to its receipt; L.",
    "protection interval": "Lead time plus review period: the periods of demand that an order must last for.",
    "proven": "The interval excludes zero even though several policies were compared at once.",
    "simulated demand": "Many paths of demand drawn from the forecaster: savings there are precise, and true as far "
    "as the forecaster is.",
    "training seed": "The random start of a learned policy; several show how much of its saving is luck.",
    "volatility ratio": "Variance of orders over that of demand; above 1, orders swing more than demand.",
    "weighted quantile loss": "Accuracy of forecast quantiles: twice their pinball loss over demand; lower is better.",
}
"""Terms in the order of the alphabet."""


def term_id(term: str) -> str:
    """Return the id that a term has on the page.

    >>> term_id("fill rate")
    'term-fill-rate'
    """
    return "term-" + re.sub(r"\W+", "-", term)


def glossary_section(run: Run) -> str:  # noqa: ARG001 (the same for every run)
    """Return the glossary."""
    return render_template("glossary", terms=[(term_id(name), name, text) for name, text in TERMS.items()])
