"""Where the project is, and where downloads and builds are cached."""

import os
from pathlib import Path

from keeper.errors import ConfigError

PROJECT = Path(__file__).resolve().parents[2]


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
