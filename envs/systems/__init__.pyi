"""Single items beyond the plain one: `fr.systems`."""

from .capacity import SharedCapacity as SharedCapacity, project_orders as project_orders
from .perishable import (
    PerishableOutcome as PerishableOutcome,
    PerishableState as PerishableState,
    perishable_step as perishable_step,
)
from .shared_capacity import CapacityOutcome as CapacityOutcome, shared_capacity_step as shared_capacity_step
