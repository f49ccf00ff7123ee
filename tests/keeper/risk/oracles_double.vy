# pragma version 0.4.3
# pragma optimize gas
"""
@title Prices and slices as a test chose them
@notice Stands for PriceOracle and VolOracle in front of the real OptionPricer, so that any market can be put before it.
"""

from contracts.interfaces import IPriceOracle
from contracts.interfaces import IVolOracle


struct Posted:
    underlying: uint256
    expiry: uint256
    slice: IVolOracle.Slice
    window: IVolOracle.Window


readings: IPriceOracle.Reading[2]
_posted: HashMap[uint256, HashMap[uint256, Posted]]


@external
def set(readings: IPriceOracle.Reading[2], slices: DynArray[Posted, 32]):
    self.readings = readings
    for posted: Posted in slices:
        self._posted[posted.underlying][posted.expiry] = posted


@external
@view
def read(underlying: uint256) -> IPriceOracle.Reading:
    assert self.readings[underlying].price > 0, "oracle: stale"
    return self.readings[underlying]


@external
@view
def posted(underlying: uint256, expiry: uint256) -> (IVolOracle.Slice, IVolOracle.Window):
    return self._posted[underlying][expiry].slice, self._posted[underlying][expiry].window
