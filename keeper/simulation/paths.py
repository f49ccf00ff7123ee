"""Where the project is, and where downloads and builds are cached."""

import os
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]


def cache_dir() -> Path:
    """`KEEL_CACHE`, or `.cache` in the project (ignored by git). Made when missing."""
    path = Path(os.environ.get("KEEL_CACHE") or PROJECT / ".cache").resolve()
    path.mkdir(parents=True, exist_ok=True)
    return path
