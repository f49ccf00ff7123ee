"""Makers' side of the quote server: `POST /offers`, and what becomes of an offer."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import FastAPI
from fastapi.responses import JSONResponse
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from keeper.chain.maker_offers import MakerOffer, offer_to_json
from keeper.domain.units import SIZE_UNIT, WAD
from keeper.runtime.answers import Denied
from keeper.runtime.desk import Desk
from keeper.runtime.offer_book import Fault, Kept
from keeper.web.errors import Address, Digest, denied, error

_STATUS: Final = {Fault.MAKER: 403, Fault.SIGNATURE: 403}  # 409 for the others
_MOST: Final = 10**9 * WAD


def _whole(given: int) -> int:
    if given % SIZE_UNIT:
        raise ValueError("is no multiple of 1e-9 units")
    return given


Size = Annotated[int, Field(ge=0, lt=_MOST), AfterValidator(_whole)]


class Terms(BaseModel):
    """What the maker signs: `Offer(uint256 series,bool vaultSells,uint256 price,uint256 size,uint256 minFill,address
    maker,uint256 deadline,uint256 nonce)` under OptionBook's EIP-712 domain. Integers may be texts."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    series: int = Field(ge=0, lt=2**256, description="As GET /series has it.")
    vault_sells: bool = Field(description="False: the maker writes to the vault, or gives tokens back.")
    price: int = Field(gt=0, lt=_MOST, description="USDC per unit, WAD.")
    size: Size = Field(description="The most, units, WAD; 0 takes back what was offered for the series on this side.")
    min_fill: Size = Field(description="The least, units, WAD.")
    maker: Address = Field(description="Who signs, and to whom the quote is made.")
    deadline: int = Field(ge=0, lt=2**32, description="Last second, UTC: an hour ahead at most.")
    nonce: int = Field(ge=0, lt=2**256, description="Higher than in the maker's offers before.")


class Offered(BaseModel):
    """An offer with its signature, r, s and v."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    offer: Terms
    signature: str = Field(pattern="^0x[0-9a-fA-F]{130}$")


def add_offers(app: FastAPI, desk: Desk) -> None:
    """The routes."""

    @app.post("/offers")
    def post_offer(offered: Offered) -> JSONResponse:
        """Offer the vault a trade. Its digest is what to ask for it by; nobody promises that it is taken."""
        signature = bytes.fromhex(offered.signature.removeprefix("0x"))
        answer = desk.offer(MakerOffer(**offered.offer.model_dump()), signature)
        if isinstance(answer, Denied):
            return denied(answer)
        if isinstance(answer, Fault):
            return error(_STATUS.get(answer, 409), "refused", answer.name.lower(), answer)
        return JSONResponse(_state(answer))

    @app.get("/offers/{digest}")
    def get_offer(digest: Digest) -> JSONResponse:
        """What became of an offer. Once it is taken the answer is also the quote that the maker may fill, as
        `POST /quotes` gives them, of the offer's size or less."""
        kept = desk.find_offer(digest)
        if kept is None:
            return error(404, "unknown", "digest", "no such offer is open here: it is over, replaced, or of a restart")
        return JSONResponse(_state(kept))


def _state(kept: Kept) -> dict[str, Any]:
    reason = kept.refused.name.lower() if kept.refused else None
    state = {"state": kept.state, "offer_digest": kept.digest, "offer": offer_to_json(kept.given), "refused": reason}
    return (kept.quote or {}) | state
