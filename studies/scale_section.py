"""The config's section on where work runs, and on histories that are studied in blocks of items."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from ..errors import InputError
from .sections import Count, OptionalText, Section

OptionalCount = Annotated[Count | None, Field(description="a whole number >= 1")]


class ScaleConfig(Section):
    """`[scale]`: where tasks run, and how histories of very many items are studied.

    Attributes:
        engine: "serial" (this process), "process" (worker processes of this machine) or "ray" (a cluster): see
            `executor`; None: in this process, without tasks. With any engine libraries compute in one thread, so that
            results are the same with each.
        workers: tasks that run at once; None: one a core, or all of a cluster's.
        address: of a Ray cluster; None: one is started on this machine.
        blocks: of items that a history is cut into, each a task; None: so many that each holds a few thousand items.
        sample: items that forecasters are fitted and policies tuned on where a history is studied in blocks.
        whole: items at most of a history that is studied as a whole where no blocks and no engine are given.
    """

    engine: Annotated[
        Literal["serial", "process", "ray"] | None, Field(description="one of 'serial', 'process', 'ray'")
    ] = None
    workers: OptionalCount = None
    address: OptionalText = None
    blocks: OptionalCount = None
    sample: Count = 5_000
    whole: Count = 20_000

    @model_validator(mode="after")
    def _fits_the_engine(self) -> ScaleConfig:
        given = self.engine or "none"
        faults = []
        if self.workers is not None and self.engine not in ("process", "ray"):
            rule = "is of the engines 'process' and 'ray'; choose one of them or leave it out"
            faults.append(f"scale.workers: {rule}, got engine {given}")
        if self.address is not None and self.engine != "ray":
            rule = "is of a Ray cluster; choose the engine 'ray' or leave it out"
            faults.append(f"scale.address: {rule}, got engine {given}")
        if faults:
            raise InputError(faults)
        return self
