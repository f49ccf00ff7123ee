# pragma version 0.4.3
"""
@title series
@notice A series and the vault's net position in it, packed into one slot:
        underlying 8 | call 1 | expiry 32 | strike 64 (1e-6 USDC) | ln(strike) 64 (WAD) | position 87 (signed, 1e-9 units).
        A series' identifier is its slot with the position bits zero.
"""

_POSITION_BITS: constant(uint256) = 87
_POSITION_MASK: constant(uint256) = 2**87 - 1
_POSITION_MAX: constant(int256) = 2**86 - 1
_STRIKE_UNIT: constant(uint256) = 10**12  # 1e-6 USDC in WAD
_SIZE_UNIT: constant(uint256) = 10**9  # 1e-9 units in WAD


@internal
@pure
def _pack(underlying: uint256, is_call: bool, expiry: uint256, strike: uint256, ln_strike: uint256) -> uint256:
    """
    @notice Identifier of a series.
    @param strike WAD, a multiple of 1e-6 USDC.
    @param ln_strike Natural logarithm of the strike in USDC, WAD.
    """
    assert underlying < 2**8 and expiry < 2**32 and strike % _STRIKE_UNIT == 0, "series: not representable"
    assert strike // _STRIKE_UNIT < 2**64 and ln_strike < 2**64, "series: strike too large"
    return (
        (underlying << 248)
        | (convert(is_call, uint256) << 247)
        | (expiry << 215)
        | ((strike // _STRIKE_UNIT) << 151)
        | (ln_strike << 87)
    )


@internal
@pure
def _id(slot: uint256) -> uint256:
    return (slot >> _POSITION_BITS) << _POSITION_BITS


@internal
@pure
def _underlying(slot: uint256) -> uint256:
    return slot >> 248


@internal
@pure
def _is_call(slot: uint256) -> bool:
    return (slot >> 247) & 1 == 1


@internal
@pure
def _expiry(slot: uint256) -> uint256:
    return (slot >> 215) & (2**32 - 1)


@internal
@pure
def _strike(slot: uint256) -> uint256:
    return ((slot >> 151) & (2**64 - 1)) * _STRIKE_UNIT


@internal
@pure
def _ln_strike(slot: uint256) -> int256:
    return convert((slot >> 87) & (2**64 - 1), int256)


@internal
@pure
def _position(slot: uint256) -> int256:
    """
    @notice Net position in units, WAD: positive when the vault is long.
    """
    shifted: int256 = convert(convert(slot << 169, bytes32), int256)  # sign bit to the top
    return (shifted >> 169) * convert(_SIZE_UNIT, int256)


@internal
@pure
def _with_position(slot: uint256, position: int256) -> uint256:
    """
    @notice The same series with another position.
    @param position WAD, a multiple of 1e-9 units.
    """
    assert position % convert(_SIZE_UNIT, int256) == 0, "series: size not a multiple of 1e-9"
    packed: int256 = position // convert(_SIZE_UNIT, int256)
    assert packed <= _POSITION_MAX and packed >= -_POSITION_MAX, "series: position too large"
    return self._id(slot) | (convert(convert(packed, bytes32), uint256) & _POSITION_MASK)
