"""The modules of this folder that are no tests can be imported by those that are."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent))
