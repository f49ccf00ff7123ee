"""The snapshot's state file: built when its inputs have changed, otherwise taken from the cache."""

import fcntl
import hashlib
import sys
import time
from pathlib import Path

from keeper.simulation.anvil import HARDFORK, VERSION
from keeper.simulation.paths import cache_dir

_HERE = Path(__file__).parent
_INPUTS = (
    "../chain/address_book.py",
    "addresses.py",
    "mainnet.py",
    "markets.py",
    "packages.json",
    "placement.py",
    "protocols/*.py",
    "protocols/*.js",
)


def snapshot_path() -> Path:
    """Where the state file for the present inputs is, or will be: its name carries their hash."""
    digest = hashlib.sha256(f"anvil {VERSION} {HARDFORK}".encode())
    for pattern in _INPUTS:
        for source in sorted(_HERE.glob(pattern)):
            digest.update(source.name.encode() + b"\0" + source.read_bytes())
    return cache_dir() / f"mainnet-{digest.hexdigest()[:16]}.json"


def ensure_snapshot() -> Path:
    """The state file, built first if need be. Only one process builds; others wait for it.

    Raises what `keeper.simulation.mainnet.build_snapshot` raises; an older state file is kept then.
    """
    path = snapshot_path()
    if path.exists():
        return path
    with (cache_dir() / "snapshot.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            from keeper.simulation.mainnet import build_snapshot

            build_snapshot(path)
            for outdated in cache_dir().glob("mainnet-*.json"):
                if outdated != path:
                    outdated.unlink(missing_ok=True)
    return path


def main() -> None:
    """`python -m keeper.simulation.snapshot`: used by `make setup`."""
    if snapshot_path().exists():
        return
    print("Building the mainnet snapshot (about 30 s the first time) ...", file=sys.stderr)
    started = time.monotonic()
    path = ensure_snapshot()
    print(
        f"{path.name}: {path.stat().st_size / 1e6:.1f} MB in {time.monotonic() - started:.1f} s",
        file=sys.stderr,
    )


if __name__ == "__main__":
    main()
