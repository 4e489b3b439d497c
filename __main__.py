"""`python -m fractile` is `fractile`."""

from __future__ import annotations

from fractile.cli import main  # absolute, since type checkers also meet this file as plain `__main__`

if __name__ == "__main__":
    main()
