"""Where the project is, and where downloads and builds are cached."""

import os
from pathlib import Path

from keeper.errors import ConfigError

PROJECT = Path(__file__).resolve().parents[2]
DATA_VARIABLE = "KEEL_DATA"


def data_dir() -> Path | None:
    """`KEEL_DATA`, or `../shared/data` beside the project: recorded markets. None where there is no such folder, or
    where KEEL_DATA is empty.
    """
    folder = os.environ.get(DATA_VARIABLE, "../shared/data")
    path = PROJECT / folder
    return path if folder and path.is_dir() else None


def cache_dir() -> Path:
    """`KEEL_CACHE`, or `.cache` in the project (ignored by git). Made when missing.

    Raises ConfigError when it can't be made.
    """
    path = Path(os.environ.get("KEEL_CACHE") or PROJECT / ".cache").resolve()
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"The cache folder {path} cannot be made: {error.strerror}.",
            kept="Nothing was started.",
            todo="Check the rights, or set KEEL_CACHE to another folder.",
        ) from None
    return path
