"""systemd hears that the keeper is ready and that its loop comes round; nobody who does not listen holds it up."""

import socket

import pytest

from keeper.runtime.supervisor import Supervisor


@pytest.fixture(params=["a path", "an abstract name"])
def listening(request, tmp_path):
    address = str(tmp_path / "notify") if request.param == "a path" else f"@{tmp_path}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind("\0" + address[1:] if address.startswith("@") else address)
        receiver.settimeout(60)
        yield address, receiver


def test_ready_is_said_once_and_life_each_time(listening):
    address, receiver = listening
    supervisor = Supervisor(address)

    supervisor.still_alive()
    supervisor.still_alive()

    assert receiver.recv(100) == b"READY=1\nWATCHDOG=1"
    assert receiver.recv(100) == b"WATCHDOG=1"


@pytest.mark.parametrize("address", ["", "/nowhere/notify"])
def test_without_a_listener_nothing_happens(address):
    Supervisor(address).still_alive()
