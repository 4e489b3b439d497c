"""Single items beyond the plain one: `fr.systems`."""

from .capacity import (
    CapacityOutcome as CapacityOutcome,
    SharedCapacity as SharedCapacity,
    project_orders as project_orders,
    shared_capacity_step as shared_capacity_step,
)
from .perishable import (
    PerishableOutcome as PerishableOutcome,
    PerishableState as PerishableState,
    perishable_step as perishable_step,
)
