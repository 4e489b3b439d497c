"""Parquet files read whole, whatever they hold."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

LEAST_CELL = 8
"""Bytes that a cell takes in memory at least; packed, a file may hold billions of equal ones."""


def read_parquet(source: Path | IO[bytes]) -> pd.DataFrame:
    """Read a Parquet file as a frame.

    Args:
        source: a path or an open file.

    Raises:
        ValueError: where it is damaged, or holds more than the machine's memory.
    """
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(source) as file:
            rows, columns = file.metadata.num_rows, file.metadata.num_columns
            if rows * columns * LEAST_CELL > _memory():
                raise ValueError(f"its {rows:,} rows of {columns:,} columns are more than this machine's memory holds")
            frame: pd.DataFrame = file.read().to_pandas()
            return frame
    except MemoryError:
        raise ValueError("it is more than this machine's memory holds") from None
    except OSError as error:
        if error.errno is not None:  # of the disk
            raise
        raise ValueError(str(error)) from None
    except Exception as error:  # a damaged file is found out anywhere
        raise ValueError(f"{type(error).__name__}: {error}" if isinstance(error, KeyError) else str(error)) from None


def _memory() -> float:
    """Return the bytes of memory that the machine has; infinity where it does not say."""
    try:
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, OSError, ValueError):
        return float("inf")
