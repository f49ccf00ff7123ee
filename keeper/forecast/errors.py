"""What forecasting refuses."""

from __future__ import annotations

from keeper.errors import KeelError


class ForecastError(KeelError):
    """The past that a forecast is asked from is too short, has holes or cannot be."""

    def __init__(self, what: str, todo: str) -> None:
        super().__init__(what, kept="No forecast was made.", todo=todo)
