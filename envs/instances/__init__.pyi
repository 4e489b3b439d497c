"""Instances of the literature."""

from .catalogue import Instance as Instance, instances as instances
