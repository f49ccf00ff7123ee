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


readings: IPriceOracle.Reading[2]
slices: HashMap[uint256, HashMap[uint256, IVolOracle.Slice]]


@external
def set(readings: IPriceOracle.Reading[2], slices: DynArray[Posted, 32]):
    self.readings = readings
    for posted: Posted in slices:
        self.slices[posted.underlying][posted.expiry] = posted.slice


@external
@view
def read(underlying: uint256) -> IPriceOracle.Reading:
    return self.readings[underlying]


@external
@view
def slice_of(underlying: uint256, expiry: uint256) -> IVolOracle.Slice:
    return self.slices[underlying][expiry]
