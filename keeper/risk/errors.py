"""What the risk measures refuse."""

from __future__ import annotations

from keeper.errors import KeelError


class RiskError(KeelError):
    """Numbers that no risk can be measured from: too few, not finite, or of shapes that do not fit."""
