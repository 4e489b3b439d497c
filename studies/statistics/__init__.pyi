"""Intervals of savings that cover, rankings, and how much more data would prove a saving: `fr.statistics`."""

from .power import items_to_prove as items_to_prove, weeks_to_prove as weeks_to_prove
from .quality import Intervals as Intervals, describe_intervals as describe_intervals, power_sentence as power_sentence
from .ranking import Ranking as Ranking, rank_policies as rank_policies
from .saving import (
    Clusters as Clusters,
    Interval as Interval,
    Saving as Saving,
    mean_interval as mean_interval,
    paired_saving as paired_saving,
)
from .simulated import SimulatedSaving as SimulatedSaving, simulated_saving as simulated_saving
