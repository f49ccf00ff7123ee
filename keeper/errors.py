"""Errors that a person reads: what happened, what was kept, what to do next."""

from __future__ import annotations


class KeelError(Exception):
    """Something that the operator must know and can act on.

    Args:
        what: What happened, in one sentence.
        kept: What was kept or left undone.
        todo: What to do next.

    ``exit_code`` is what the `keel` command ends with.
    """

    exit_code = 1

    def __init__(self, what: str, *, kept: str = "", todo: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.kept = kept
        self.todo = todo

    def __str__(self) -> str:
        return " ".join(part for part in (self.what, self.kept, self.todo) if part)


class ConfigError(KeelError):
    """A setting is missing or cannot be right."""

    exit_code = 2


class ManifestError(ConfigError):
    """The deployment manifest is missing, malformed or of another chain."""


class RpcUnavailableError(KeelError):
    """The node did not answer, or not in time. A request that was sent may still have been carried out."""

    exit_code = 3


class RpcError(KeelError):
    """The node answered with an error; `code` and `data` (0x-hex or empty) are the node's own."""

    exit_code = 3

    def __init__(self, method: str, message: str, *, code: int | None = None, data: str = "") -> None:
        super().__init__(f"The node refused {method}: {message}.")
        self.method, self.message, self.code, self.data = method, message, code, data


class WrongChainError(KeelError):
    """The node serves another chain than the deployment is on."""

    exit_code = 3


class SnapshotError(KeelError):
    """The chain cannot be read as a whole at one block: names what did not answer."""

    exit_code = 4


class AccountError(KeelError):
    """The keystore, the passphrase or the key cannot be used."""

    exit_code = 5


class SignerError(AccountError):
    """Who holds the key does not answer, refuses, or has signed something else."""

    exit_code = 3  # as a node's: it may be there again soon


class JournalError(KeelError):
    """The journal cannot be read or written: locked, corrupt, or of another version of Keel."""

    exit_code = 6


class LeaseError(JournalError):
    """Another machine keeps the vault: this one may not write to the journal, and so not act."""
