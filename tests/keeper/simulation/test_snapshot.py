"""The snapshot's state file is built once."""

from keeper.simulation import mainnet
from keeper.simulation.snapshot import ensure_snapshot


def test_ensure_snapshot_does_nothing_the_second_time(monkeypatch):
    first = ensure_snapshot()
    built_at = first.stat().st_mtime_ns
    monkeypatch.setattr(mainnet, "build_snapshot", lambda target: None)

    second = ensure_snapshot()

    assert second == first
    assert second.stat().st_mtime_ns == built_at
