"""py_vollib_vectorized in this run: it needs an older numba than ours, so it gets an environment of its own."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tests.bench.results import PROJECT

_HERE = Path(__file__).parent
_ENVIRONMENT = PROJECT / ".cache" / "peers"


def measure(arrays: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[np.float64]] | None:
    """Seconds for price and Greeks, seconds for implied volatility, and their results; None where the environment
    cannot be made (no package index)."""
    python = _ENVIRONMENT / "bin" / "python"
    stamp = _ENVIRONMENT / ".installed"
    requirements = _HERE / "peers.txt"
    if not stamp.exists() or stamp.read_bytes() != requirements.read_bytes():
        uv = str(Path(sys.executable).with_name("uv"))
        make = [uv, "venv", "-q", "--clear", "--python", sys.executable, str(_ENVIRONMENT)]
        install = [uv, "pip", "install", "-q", "--python", str(python), "-r", str(requirements)]
        for command in (make, install):
            if subprocess.run(command, check=False).returncode != 0:
                return None
        stamp.write_bytes(requirements.read_bytes())
    with tempfile.TemporaryDirectory() as folder:
        given, found = Path(folder) / "given.npz", Path(folder) / "found.npz"
        np.savez(given, **arrays)
        subprocess.run([str(python), str(_HERE / "vectorized_peer.py"), str(given), str(found)], check=True)
        with np.load(found) as results:
            return {name: results[name] for name in results.files}
