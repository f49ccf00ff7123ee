"""Modules behind an external surface, so that tests can call them directly."""

from typing import Any

import boa

_LEAKY_BUCKET = """
# pragma version 0.4.3
from contracts.modules import leaky_bucket

bucket: public(leaky_bucket.Bucket)

@external
def spend(amount: uint256, capacity: uint256, refill_per_day: uint256):
    self.bucket = leaky_bucket._spend(self.bucket, amount, capacity, refill_per_day)

@external
@view
def available(capacity: uint256, refill_per_day: uint256) -> uint256:
    return leaky_bucket._available(self.bucket, capacity, refill_per_day)
"""

_SERIES = """
# pragma version 0.4.3
from contracts.modules import series

@external
@pure
def pack(underlying: uint256, is_call: bool, expiry: uint256, strike: uint256, ln_strike: uint256) -> uint256:
    return series._pack(underlying, is_call, expiry, strike, ln_strike)

@external
@pure
def with_position(slot: uint256, position: int256) -> uint256:
    return series._with_position(slot, position)

@external
@pure
def unpack(slot: uint256) -> (uint256, uint256, bool, uint256, uint256, int256, int256):
    return (
        series._id(slot),
        series._underlying(slot),
        series._is_call(slot),
        series._expiry(slot),
        series._strike(slot),
        series._ln_strike(slot),
        series._position(slot),
    )
"""


def leaky_bucket() -> Any:
    """One bucket of modules/leaky_bucket.vy."""
    return boa.loads(_LEAKY_BUCKET)


def series() -> Any:
    """modules/series.vy."""
    return boa.loads(_SERIES)
