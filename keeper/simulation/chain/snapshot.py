"""State files of local chains: built when their inputs have changed, otherwise taken from the cache."""

import fcntl
import hashlib
import sys
import time
from pathlib import Path

from keeper.simulation.anvil import HARDFORK, VERSION
from keeper.simulation.chain.mainnet import mainnet
from keeper.simulation.chain.plan import ChainPlan
from keeper.simulation.chain.sepolia import SEPOLIA
from keeper.simulation.paths import cache_dir

_KEPT = 2  # of one chain: with recorded pools and without
_HERE = Path(__file__).parent
_INPUTS = (
    "../../chain/address_book.py",
    "addresses.py",
    "builder.py",
    "mainnet.py",
    "markets.py",
    "packages.json",
    "placement.py",
    "plan.py",
    "protocols/*.py",
    "protocols/*.js",
    "recorded_pools.py",
    "sepolia.py",
)


def snapshot_path(plan: ChainPlan) -> Path:
    """Where the state file for the present inputs is, or will be: its name carries their hash."""
    digest = hashlib.sha256(f"anvil {VERSION} {HARDFORK}".encode())
    sources = [source for pattern in _INPUTS for source in sorted(_HERE.glob(pattern))]
    for source in [*sources, plan.recording] if plan.recording else sources:
        digest.update(source.name.encode() + b"\0" + source.read_bytes())
    return cache_dir() / f"{plan.name}-{digest.hexdigest()[:16]}.json"


def ensure_snapshot(plan: ChainPlan) -> Path:
    """The chain's state file, built first if need be. Only one process builds; others wait for it.

    Raises what `keeper.simulation.chain.builder.build_snapshot` raises; an older state file is kept then.
    """
    path = snapshot_path(plan)
    if path.exists():
        return path
    with (cache_dir() / "snapshot.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            from keeper.simulation.chain.builder import build_snapshot

            build_snapshot(plan, path)
            for outdated in sorted(cache_dir().glob(f"{plan.name}-*.json"), key=_age)[_KEPT:]:
                outdated.unlink(missing_ok=True)
    return path


def _age(path: Path) -> float:
    return -path.stat().st_mtime


def main() -> None:
    """`python -m keeper.simulation.chain.snapshot`: used by `make setup`."""
    for plan in (mainnet(), SEPOLIA):
        if snapshot_path(plan).exists():
            continue
        print(f"Building the {plan.name} snapshot (the first of all takes about 30 s) ...", file=sys.stderr)
        started = time.monotonic()
        path = ensure_snapshot(plan)
        size, seconds = path.stat().st_size / 1e6, time.monotonic() - started
        print(f"{path.name}: {size:.1f} MB in {seconds:.1f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
