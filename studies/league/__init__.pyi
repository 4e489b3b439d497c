"""The forecast league: `fr.league`."""

from .entry import Entry as Entry, make_entry as make_entry
from .page import build_lineage_page as build_lineage_page
from .run import league as league, run_league as run_league
from .table import League as League, make_league as make_league, write_league as write_league
from .task import LeagueTask as LeagueTask, league_task as league_task
