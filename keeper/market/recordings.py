"""Recorded market data in .parquet and .csv files: read column by column, and refused in words."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from keeper.domain.valuation import FloatArray
from keeper.errors import ConfigError

NOT_STARTED: Final = "Nothing was started."


class RecordingError(ConfigError):
    """A recording, or the window of it that was asked for, cannot be replayed."""

    def __init__(self, what: str, todo: str) -> None:
        super().__init__(what, kept=NOT_STARTED, todo=todo)


def table_of(path: Path, columns: tuple[str, ...]) -> Any:
    """The table of a .parquet or .csv file.

    Raises:
        RecordingError: it cannot be read, or lacks a column.
    """
    import pyarrow.csv  # heavy
    import pyarrow.parquet

    readers = {".parquet": pyarrow.parquet.read_table, ".csv": pyarrow.csv.read_csv}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise RecordingError(f"{path} is neither .parquet nor .csv.", "Convert it to one of them.")
    try:
        with path.open("rb") as file:
            table = reader(file)
    except OSError as error:
        reason = error.strerror or str(error).splitlines()[0].rstrip(".")
        raise RecordingError(f"{path} cannot be read: {reason}.", "Check its name and that it is whole.") from None
    except pyarrow.ArrowException as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise RecordingError(f"{path} is not a {path.suffix} file: {reason}.", "Check that it is whole.") from None
    lacks = [name for name in columns if name not in table.column_names]
    if lacks:
        raise RecordingError(f"{path} has no column {', '.join(lacks)}.", f"Its columns must be {', '.join(columns)}.")
    return table


def times_of(table: Any, name: str, path: Path) -> NDArray[np.int64]:
    """A column of times in seconds. Raises RecordingError."""
    import pyarrow

    column = table[name]
    kind = column.type
    if not (pyarrow.types.is_timestamp(kind) or pyarrow.types.is_date(kind)) or column.null_count:
        raise RecordingError(
            f"The column {name} of {path} is not a date and time in every row.", "Write 2024-08-05 13:30:00, in UTC."
        )
    seconds: NDArray[np.int64] = column.to_numpy().astype("datetime64[s]").astype(np.int64)
    return seconds


def numbers(table: Any, name: str, path: Path) -> FloatArray:
    """A column of numbers; NaN where one is missing. Raises RecordingError."""
    import pyarrow

    try:
        return np.asarray(table[name].cast(pyarrow.float64()).to_numpy(), dtype=np.float64)
    except pyarrow.ArrowException:
        raise RecordingError(f"The column {name} of {path} holds something else than numbers.", "Mend it.") from None
