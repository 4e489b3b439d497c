"""Lead times and deliveries as data: `fr.arrivals`."""

from .deliveries import (
    LostDeliveries as LostDeliveries,
    ShortDeliveries as ShortDeliveries,
    SplitDeliveries as SplitDeliveries,
)
from .fitted import FittedArrivals as FittedArrivals
from .model import (
    ArrivalModel as ArrivalModel,
    ConstantLeadTime as ConstantLeadTime,
    RandomLeadTime as RandomLeadTime,
    expected_lead_time as expected_lead_time,
    with_arrivals as with_arrivals,
)
