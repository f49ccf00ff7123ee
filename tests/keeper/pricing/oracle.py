"""The real VolOracle on revm, and what the keeper reads of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple

import boa
from eth_utils.crypto import keccak

from keeper.domain.snapshot import VolSlice, Window
from keeper.domain.units import DAY, HOUR, YEAR, to_wad
from keeper.pricing.vol_oracle import Bounds, Held, Oracle
from tests.keeper.evm import DEPLOYER, PROJECT, FastEvm, Reverted

ETH = 0
FRIDAY = 20_833 * DAY + 8 * HOUR  # 2027-01-15 08:00
BOUNDS = Bounds(*(to_wad(x) for x in (0.2, 3.0, 0.25, 0.05, 0.10, 0.5, 0.05, 0.02, 0.20)))
VOL_POSTER = 16


class RealOracle:
    """The contract; one account is governor and vol poster."""

    def __init__(self) -> None:
        self._evm = FastEvm()
        self._oracle = self._evm.deploy("contracts/VolOracle.vy", DEPLOYER, astuple(BOUNDS))
        self._oracle("grant_role", DEPLOYER, VOL_POSTER)
        layout = boa.load_partial(str(PROJECT / "contracts/VolOracle.vy")).compiler_data.storage_layout
        self._pasts = layout["storage_layout"]["_pasts"]["slot"]

    @contextmanager
    def reverted_after(self) -> Iterator[None]:
        """What is done within is undone."""
        kept = self._evm.evm.snapshot()
        try:
            yield
        finally:
            self._evm.evm.revert(kept)

    def set_bounds(self, bounds: Bounds) -> None:
        """VolOracle.set_bounds."""
        self._oracle("set_bounds", astuple(bounds))

    def post(self, expiry: int, new: VolSlice) -> None:
        """VolOracle.post in a block of ``new.posted_at``. Raises Reverted."""
        self._evm.at(new.posted_at)
        self._oracle("post", ETH, expiry, new.theta, new.rho, new.phi, new.carry, new.half_spread)

    def refusal(self, expiry: int, new: VolSlice) -> str:
        """The reason with which the contract refuses a post, which it forgets; empty when it accepts it."""
        with self.reverted_after():
            try:
                self.post(expiry, new)
            except Reverted as error:
                return str(error)
        return ""

    def state(self, time: int) -> Oracle:
        """What the contract holds in a block of that time."""
        self._evm.at(time)
        live = sorted(expiry for expiry in self._oracle("expiries", ETH) if expiry > time)
        return Oracle(Bounds(*self._oracle("bounds")), tuple(self._held(expiry) for expiry in live))

    def _held(self, expiry: int) -> Held:
        posted, window = self._oracle("posted", ETH, expiry)
        room, carry_room = self._oracle("room", ETH, expiry)
        return Held(expiry, VolSlice(*posted, window=Window(*window)), self._samples(expiry), room, carry_room)

    def _samples(self, expiry: int) -> int:
        """The last word of a struct of four in a mapping of mappings."""
        place = self._pasts
        for key in (ETH, expiry):
            place = int.from_bytes(keccak(place.to_bytes(32) + key.to_bytes(32)))
        return int(self._evm.evm.storage(self._oracle.address, place + 3))


def slice_of(
    vol: float,
    expiry: int,
    time: int,
    rho: float = -0.2,
    curvature: float = 0.6,
    carry: float = 0.0,
    half_spread: float = 0.02,
) -> VolSlice:
    """By at-the-money volatility; ``curvature`` is φ√θ, below 2/√(1+|ρ|) in a slice without butterflies."""
    theta = vol * vol * (expiry - time) / YEAR
    return VolSlice(
        theta=to_wad(f"{theta:.18f}"),
        rho=to_wad(f"{rho:.9f}"),
        phi=to_wad(f"{curvature / theta**0.5:.12f}"),
        carry=to_wad(f"{carry:.9f}"),
        half_spread=to_wad(f"{half_spread:.9f}"),
        posted_at=time,
    )
