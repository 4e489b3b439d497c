"""Networks of locations: `fr.networks`."""

from .network import OUTSIDE as OUTSIDE, Link as Link, Network as Network, network_step as network_step
from .shapes import distribution as distribution, dual_sourcing as dual_sourcing, serial as serial
