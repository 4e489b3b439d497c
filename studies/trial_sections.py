"""The config's sections on what is tried: pairs of forecaster and policy for `auto`, changed parameters for sweeps."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from .sections import Count, ForecasterName, Periods, PolicyName, Section, check_distinct

Names = Annotated[
    tuple[ForecasterName, ...], AfterValidator(check_distinct), Field(description="a list of forecaster names")
]
PolicyNames = Annotated[
    tuple[PolicyName, ...], AfterValidator(check_distinct), Field(description="a list of policy names")
]


class ChoiceConfig(Section):
    """`[choice]`: what `auto` tries, and on how much of the history.

    Attributes:
        forecasters: those that are tried, and whose averages are.
        policies: likewise; those that read forecasts are tried with several safety settings.
        windows: stretches at the history's end that every pair is played on; forecasters are fitted before each.
        periods: of a window, where the history is long enough.
        members: forecasters at most that are averaged.
        steps: moves at most of a safety setting from where it stands to the cheapest.
    """

    forecasters: Names = ("lightgbm", "mqrnn", "mqcnn", "sqrf", "patchwork")
    policies: PolicyNames = ("newsvendor", "projected", "lookahead", "generalist", "base_stock")
    windows: Count = 3
    periods: Periods = 17
    members: Count = 3
    steps: Count = 6
