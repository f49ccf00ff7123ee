"""The state files of local chains are built once."""

from dataclasses import replace

from keeper.simulation.chain import builder
from keeper.simulation.chain.mainnet import mainnet
from keeper.simulation.chain.snapshot import ensure_snapshot, snapshot_path


def test_ensure_snapshot_does_nothing_the_second_time(monkeypatch):
    first = ensure_snapshot(mainnet())
    built_at = first.stat().st_mtime_ns
    monkeypatch.setattr(builder, "build_snapshot", lambda plan, target: None)

    second = ensure_snapshot(mainnet())

    assert second == first
    assert second.stat().st_mtime_ns == built_at


def test_without_a_folder_of_recordings_there_is_none(monkeypatch, tmp_path):
    monkeypatch.setenv("KEEL_DATA", "")
    unset = mainnet().recording
    monkeypatch.setenv("KEEL_DATA", str(tmp_path))

    assert (unset, mainnet().recording) == (None, None)


def test_what_was_recorded_is_part_of_the_name(tmp_path):
    recording = tmp_path / "pools.json.gz"
    bands = replace(mainnet(), recording=None)

    recording.write_bytes(b"one")
    one = snapshot_path(replace(bands, recording=recording))
    recording.write_bytes(b"other")
    other = snapshot_path(replace(bands, recording=recording))

    assert len({one, other, snapshot_path(bands)}) == 3
