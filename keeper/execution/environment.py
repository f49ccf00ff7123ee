"""What computes a decision: of two that say the same here, the same inputs give the same bits."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import platform
import sys
from importlib import metadata
from pathlib import Path
from typing import Final

_PACKAGE: Final = Path(__file__).resolve().parents[1]
_PURE: Final = ("domain", "pricing", "forecast", "risk", "venues", "hedging")  # what a decision is computed by
_LIBRARIES: Final = ("numpy", "scipy", "numba", "llvmlite", "highspy", "clarabel")
_OVERRIDES: Final = ("NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES", "NUMBA_DISABLE_JIT", "OPENBLAS_CORETYPE")
_DIGITS: Final = 12  # of a hash


@functools.cache
def environment() -> str:
    """Of this process, canonical JSON: Keel with a hash of its code, the lock file's, Python, libraries, processor."""
    found = {
        "keel": f"{_version('keel')} {_hash_of(*_sources())}",
        "lock": _hash_of(_PACKAGE.parent / "requirements.lock"),
        "python": platform.python_version(),
        "cpu": _processor(),
        **{name: _version(name) for name in _LIBRARIES},
    }
    return json.dumps(found, sort_keys=True, separators=(",", ":"))


def differences(recorded: str, here: str) -> tuple[str, ...]:
    """What of two environments differs, for people; empty where nothing does."""
    if not recorded:
        return ("not known what it was recorded with",)
    then, now = json.loads(recorded), json.loads(here)
    return tuple(
        f"{name} {then.get(name, 'none')}, here {now.get(name, 'none')}"
        for name in sorted(then.keys() | now.keys())
        if then.get(name) != now.get(name)
    )


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "none"


def _sources() -> list[Path]:
    return sorted(path for part in _PURE for path in (_PACKAGE / part).iterdir() if path.suffix in (".py", ".json"))


def _hash_of(*paths: Path) -> str:
    digest = hashlib.sha256()
    for path in paths:
        if path.exists():
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:_DIGITS]


def _processor() -> str:
    """Model, and a hash of what numpy and numba make use of: their loops differ by it in the last bits."""
    from numpy._core._multiarray_umath import __cpu_features__ as features  # type: ignore[attr-defined]

    used = [sorted(name for name, is_used in features.items() if is_used), [os.environ.get(key) for key in _OVERRIDES]]
    digest = hashlib.sha256(json.dumps(used).encode()).hexdigest()[:_DIGITS]
    return f"{_model()} {sys.platform} {digest}"


def _model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return f"{platform.machine()} {next(names, '')}".strip()
