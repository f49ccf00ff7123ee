# pragma version 0.4.3
"""
@title trailing
@notice Two sums over a trailing window, `a` and `b`, in one slot: time 32 | 7 lanes of `b` | 7 lanes of `a`, 16 bits each.

        A lane holds what fell into one span of the clock, in units of 1e-5, the newest lane lowest. At least six whole spans
        are in a sum at any time: with four hours it covers the last 24 to 28, with ten minutes the last 60 to 70.
"""

FOUR_HOURS: constant(uint256) = 14400  # spans
TEN_MINUTES: constant(uint256) = 600
UNIT: constant(uint256) = 10**13  # 1e-5 in WAD

_LANES: constant(uint256) = 7
_BITS: constant(uint256) = 16
_LANE: constant(uint256) = 2**16 - 1
_MASK: constant(uint256) = 2**112 - 1
_EVEN: constant(uint256) = (2**16 - 1) * (1 + 2**32 + 2**64 + 2**96)


@internal
@view
def _sums(packed: uint256, span_a: uint256, span_b: uint256) -> (uint256, uint256):
    """
    @return Both sums over their trailing windows, WAD.
    """
    then: uint256 = packed >> 224
    a: uint256 = self._sum(self._to_now(packed & _MASK, then, span_a))
    return a, self._sum(self._to_now((packed >> 112) & _MASK, then, span_b))


@internal
@view
def _add(packed: uint256, a: uint256, span_a: uint256, b: uint256, span_b: uint256) -> uint256:
    """
    @notice The slot after adding WAD amounts, rounded up to units, now.
    """
    then: uint256 = packed >> 224
    lanes_a: uint256 = self._with(self._to_now(packed & _MASK, then, span_a), a)
    lanes_b: uint256 = self._with(self._to_now((packed >> 112) & _MASK, then, span_b), b)
    return (block.timestamp << 224) | (lanes_b << 112) | lanes_a


@internal
@view
def _larger(one: uint256, other: uint256, span_a: uint256, span_b: uint256) -> uint256:
    """
    @notice A slot that at any later time has seen at least what each of two has seen.
    """
    a: uint256 = self._to_now(one & _MASK, one >> 224, span_a)
    other_a: uint256 = self._to_now(other & _MASK, other >> 224, span_a)
    b: uint256 = self._to_now((one >> 112) & _MASK, one >> 224, span_b)
    other_b: uint256 = self._to_now((other >> 112) & _MASK, other >> 224, span_b)
    merged: uint256 = block.timestamp << 224
    for i: uint256 in range(_LANES):
        at: uint256 = i * _BITS
        merged |= max((a >> at) & _LANE, (other_a >> at) & _LANE) << at
        merged |= max((b >> at) & _LANE, (other_b >> at) & _LANE) << (at + 112)
    return merged


@internal
@view
def _to_now(lanes: uint256, then: uint256, span: uint256) -> uint256:
    """
    @notice The lanes as of now: what is older than the window has fallen out at the top.
    """
    return (lanes << min((block.timestamp // span - then // span) * _BITS, 112)) & _MASK


@internal
@pure
def _sum(lanes: uint256) -> uint256:
    pairs: uint256 = (lanes & _EVEN) + ((lanes >> _BITS) & _EVEN)  # four lanes of 32 bits
    total: uint256 = (pairs & (2**32 - 1)) + ((pairs >> 32) & (2**32 - 1)) + ((pairs >> 64) & (2**32 - 1)) + (pairs >> 96)
    return total * UNIT


@internal
@pure
def _with(lanes: uint256, amount: uint256) -> uint256:
    newest: uint256 = lanes & _LANE
    return (lanes ^ newest) | min(newest + (amount + UNIT - 1) // UNIT, _LANE)
