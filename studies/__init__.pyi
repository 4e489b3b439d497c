"""What a policy is worth."""

from . import league as league, statistics as statistics
