"""Answers of the quote server that are no quotes, and what its requests have in common."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import Path
from fastapi.responses import JSONResponse
from pydantic import AfterValidator, Field

from keeper.config import checked_address
from keeper.runtime.answers import Denial, Denied

_STATUS: Final = {Denial.TOO_MANY: 429}  # 503 for the others
_RETRY_SECONDS: Final = {Denial.TOO_MANY: 60, Denial.BUSY: 1}

Address = Annotated[str, Field(pattern="^0x[0-9a-fA-F]{40}$"), AfterValidator(checked_address)]
Digest = Annotated[str, Path(pattern="^0x[0-9a-f]{64}$")]


def denied(answer: Denied) -> JSONResponse:
    """It was not looked at; when to ask again is in the header."""
    retry = _RETRY_SECONDS.get(answer.denial, 5)
    reason = answer.denial.name.lower()
    return error(_STATUS.get(answer.denial, 503), "denied", reason, answer.why, {"Retry-After": str(retry)})


def error(status: int, kind: str, reason: str, detail: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """A typed reason."""
    return JSONResponse({"error": kind, "reason": reason, "detail": detail}, status, headers)
