"""The quote server: `POST /quotes` and what takers and makers need beside it, over the desk of `keeper.runtime.desk`.

Every answer but a quote has a typed reason, as in
{"error": "refused", "reason": "margin", "detail": "margin: below initial"}.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final, Literal

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from keeper.domain.series import UNDERLYINGS
from keeper.domain.units import WAD, to_wad
from keeper.errors import KeelError
from keeper.quoting.terms import Refusal
from keeper.quoting.view import Line
from keeper.runtime.answers import Denied, Signed, Wish
from keeper.runtime.desk import Desk
from keeper.web.errors import Address, Digest, denied, error
from keeper.web.offers import add_offers

MAX_BODY: Final = 4_096  # bytes


class Asked(BaseModel):
    """What a taker would trade. Amounts may be texts, so that no digit is lost on the way."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    underlying: Literal["ETH", "BTC"]
    expiry: int = Field(gt=0, lt=2**32, description="Seconds since 1970, UTC.")
    strike: Decimal = Field(gt=0, lt=10**9, decimal_places=6, description="USDC.")
    kind: Literal["call", "put"]
    side: Literal["buy", "sell"] = Field(description="The taker's: who buys is sold to by the vault.")
    size: Decimal = Field(gt=0, lt=10**9, decimal_places=9, description="Units of the underlying.")
    taker: Address = Field(description="Who may fill the quote.")

    @property
    def wish(self) -> Wish:
        """As the desk takes it."""
        series = UNDERLYINGS.index(self.underlying), self.kind == "call", self.expiry, to_wad(self.strike)
        return Wish(series, self.side == "buy", to_wad(self.size), self.taker)


def make_quote_app(desk: Desk) -> FastAPI:
    """The application. Its description for programs is at /openapi.json, for people at /docs."""
    app = FastAPI(title="Keel's quotes", description=__doc__.splitlines()[0])
    app.add_middleware(_Bounded)

    @app.exception_handler(RequestValidationError)
    async def on_mistake(_: Request, mistake: RequestValidationError) -> JSONResponse:
        problem = mistake.errors()[0]
        where = ".".join(str(part) for part in problem["loc"][1:]) or "the body"
        return error(422, "mistake", where, str(problem["msg"]).removeprefix("Value error, "))

    @app.exception_handler(KeelError)
    async def on_trouble(_: Request, __: KeelError) -> JSONResponse:
        return error(503, "unavailable", "failed", "the chain or the journal cannot be read")

    @app.post("/quotes")
    def post_quote(asked: Asked) -> JSONResponse:
        """A signed quote that the taker may fill until its deadline, or the reason why there is none."""
        answer = desk.ask(asked.wish)
        if isinstance(answer, Signed):
            return JSONResponse(answer.answer)
        if isinstance(answer, Refusal):
            return error(409, "refused", answer.reason.name.lower(), answer.reason)
        return denied(answer)

    @app.get("/quotes/{digest}")
    def get_quote(digest: Digest) -> JSONResponse:
        """A quote that was signed here, and what is left of it: open, filled, or expired."""
        found = desk.find(digest)
        if found is None:
            return error(404, "unknown", "digest", "no such quote was signed here")
        size = int(found.answer["quote"]["size"])
        state = "filled" if found.filled_wad >= size else "expired" if found.expired else "open"
        return JSONResponse(found.answer | {"state": state, "filled": str(found.filled_wad)})

    @app.get("/series")
    def get_series() -> JSONResponse:
        """The series that can be asked for. Marks in USDC per unit: no sale is below the ask, and a purchase above the
        bid only where it makes the vault's risk less."""
        found = desk.series()
        return denied(found) if isinstance(found, Denied) else JSONResponse([_line(*each) for each in found])

    add_offers(app, desk)
    return app


def _line(line: Line, min_fill: int) -> dict[str, Any]:
    series, marks = line.position.series, line.marks
    return {
        "series": str(series.id),
        "label": series.label,
        "underlying": UNDERLYINGS[series.underlying],
        "expiry": series.expiry,
        "strike": str(Decimal(series.strike_wad) / WAD),
        "kind": "call" if series.is_call else "put",
        "min_fill": str(Decimal(min_fill) / WAD),
        "marks": {name: getattr(marks, name) / WAD for name in ("bid", "mid", "ask", "spot")},
    }


class _Bounded:
    """Refuses bodies above MAX_BODY bytes, whatever their header says."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI has it: the whole body is read first, it is small or refused."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        parts, size, more = [], 0, True
        while more:
            message = await receive()
            if message["type"] != "http.request":
                return  # it has gone
            parts.append(message.get("body", b""))
            size, more = size + len(parts[-1]), message.get("more_body", False)
            if size > MAX_BODY:
                await error(413, "mistake", "the body", f"has more than {MAX_BODY} bytes")(scope, receive, send)
                return
        whole: list[Message] = [{"type": "http.request", "body": b"".join(parts), "more_body": False}]

        async def again() -> Message:
            return whole.pop() if whole else await receive()

        await self._app(scope, again, send)
