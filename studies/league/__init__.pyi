"""The forecast league: `fr.league`."""

from .entry import Entry as Entry
from .league import league as league
from .table import League as League
from .task import Contest as Contest, contest as contest
