"""What a deployment has sent so far: a file beside the manifest-to-be, so that it can go on after a failure.

A transaction is written down once it is signed, before it leaves the process. Whenever the process ends, each step is
therefore either not sent at all or can be found on chain by its hash, and its nonce keeps it from being mined twice.

{"inputs": {"keys": "0x..", "parameters": "0x.."},
 "steps": {"Vault": [{"nonce": 4, "digest": "0x.."}], "OptionBook.wire()": [..]}}
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pydantic import ConfigDict, TypeAdapter, ValidationError, with_config

from keeper.chain.deployments import first_problem, write_whole
from keeper.chain.sender import Sent
from keeper.errors import ManifestError


@with_config(ConfigDict(extra="forbid"))
@dataclass(frozen=True, slots=True)
class _Contents:
    """`inputs`: a digest for each thing that a deployment is made from. `steps`: every attempt at each, in order."""

    inputs: Mapping[str, str]
    steps: dict[str, list[Sent]] = field(default_factory=dict)


_CONTENTS: Final = TypeAdapter(_Contents)


class DeploymentLog:
    """The transactions of one deployment. Without a path it remembers only as long as the process lives."""

    def __init__(self, path: Path | None, inputs: Mapping[str, str]) -> None:
        """
        Args:
            inputs: A digest by name for each thing that the deployment is made from.

        Raises:
            ManifestError: there is a log already, and it is malformed or was begun with other inputs.
        """
        self._path = path
        self._contents = _Contents(inputs)
        if path is not None and path.exists():
            self._contents = _read(path)
            names = inputs.keys() | self._contents.inputs.keys()
            other = sorted(name for name in names if inputs.get(name) != self._contents.inputs.get(name))
            if other:
                raise ManifestError(
                    f"The unfinished deployment {path} was begun with other {', '.join(other)}.",
                    kept="Nothing was sent.",
                    todo="Go on with the same ones, or move that file away to deploy anew.",
                )

    def sent(self, step: str) -> list[Sent]:
        """Every attempt at a step, the oldest first."""
        return self._contents.steps.get(step, [])

    def add(self, step: str, sent: Sent) -> None:
        """Note an attempt that is about to be sent. Raises ManifestError when it cannot be written."""
        self._contents.steps.setdefault(step, []).append(sent)
        if self._path is not None:
            write_whole(self._path, _CONTENTS.dump_json(self._contents, indent=2) + b"\n")

    def close(self) -> None:
        """Remove the file: the manifest has everything now."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)


def log_path(manifest: Path) -> Path:
    """Where the log of an unfinished deployment is: `1.partial.json` beside `1.json`."""
    return manifest.with_suffix(".partial.json")


def _read(path: Path) -> _Contents:
    try:
        return _CONTENTS.validate_json(path.read_bytes())
    except OSError as error:
        raise ManifestError(f"The unfinished deployment {path} cannot be read: {error.strerror}.") from error
    except ValidationError as error:
        raise ManifestError(
            f"The unfinished deployment {path} is malformed: {first_problem(error)}.",
            kept="Nothing was sent.",
            todo="Restore it, or move it away to deploy anew.",
        ) from None
