"""Lead times and deliveries as data: `fr.arrivals`."""

from .fitted import FittedArrivals as FittedArrivals
from .models import (
    ArrivalModel as ArrivalModel,
    ConstantLeadTime as ConstantLeadTime,
    LostDeliveries as LostDeliveries,
    RandomLeadTime as RandomLeadTime,
    ShortDeliveries as ShortDeliveries,
    SplitDeliveries as SplitDeliveries,
    expected_lead_time as expected_lead_time,
    with_arrivals as with_arrivals,
)
