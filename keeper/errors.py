"""Errors that a person reads: what happened, what was kept, what to do next."""

from __future__ import annotations


class KeelError(Exception):
    """Something that the operator must know and can act on.

    Args:
        what: What happened, in one sentence.
        kept: What was kept or left undone.
        todo: What to do next.
    """

    def __init__(self, what: str, *, kept: str = "", todo: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.kept = kept
        self.todo = todo

    def __str__(self) -> str:
        return " ".join(part for part in (self.what, self.kept, self.todo) if part)
