"""The config's sections on what is tried: pairs of forecaster and policy for `auto`, changed parameters for sweeps."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from .sections import Count, ForecasterName, Periods, PolicyName, Positive, Section, check_distinct

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
    windows: Count = 4
    periods: Periods = 13
    members: Count = 3
    steps: Count = 6


class SweepConfig(Section):
    """`[sweep]`: whether a study plays its held-out periods again under other parameters, and which.

    Attributes:
        enabled: whether it does (`fractile study --sweep`).
        policies: policies at most on the cost-service frontier: the baseline, and those that cost least.
        factors: on the stock-out cost.
        biases: shares by which forecasts overstate demand.
    """

    enabled: Annotated[bool, Field(strict=True, description="true or false")] = False
    policies: Count = 4
    factors: Annotated[tuple[Positive, ...], Field(min_length=1, description="a list of numbers > 0")] = (
        *(0.25, 0.5, 1.0, 2.0, 4.0),
    )
    biases: Annotated[
        tuple[Annotated[float, Field(strict=True, gt=-1)], ...],
        Field(min_length=1, description="a list of shares above -1, e.g. -0.2 for 20 % too low"),
    ] = (-0.3, -0.15, 0.0, 0.15, 0.3)
