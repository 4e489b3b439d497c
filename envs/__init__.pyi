"""What happens to stock."""

from . import arrivals as arrivals, demand as demand, instances as instances, networks as networks, systems as systems
