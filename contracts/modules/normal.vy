# pragma version 0.4.3
"""
@title normal
@notice The standard normal distribution by table: Phi on [0, 8) in 128 pieces of degree 6, two words each, largest error
        7.8e-15. How the words are laid out and computed: keeper/pricing/normal_table.py.
"""

from snekmate.utils import math

_ONE: constant(int256) = 2**64
_TABLE_HASH: constant(bytes32) = 0x0462d066f1a7cfadb6ae632ebb89e763981acf7a1b25782ec1fc4cd5489aeeda
_INV_SQRT_2PI: constant(int256) = 398942280401432677  # WAD
_M64: constant(int256) = 2**64 - 1
_M80: constant(int256) = 2**80 - 1
_M96: constant(int256) = 2**96 - 1

_TABLE: immutable(int256[2][128])


@deploy
def __init__(table: uint256[256]):
    assert keccak256(abi_encode(table)) == _TABLE_HASH, "normal: wrong table"
    _TABLE = abi_decode(abi_encode(table), int256[2][128])  # the same words in pairs: one bounds check, one copy


@internal
@view
def _cdf(x: int256) -> int256:
    """
    @notice Phi(x).
    @param x Q64.
    @return Q80.
    """
    sign: int256 = x >> 255  # -1 below zero, else 0: (a ^ sign) - sign is a with the sign of x, without a branch
    a: int256 = unsafe_sub(x ^ sign, sign)
    if a >= 8 * _ONE:
        return 2**80 if x > 0 else 0
    w: int256[2] = _TABLE[convert(convert(a >> 60, bytes32), uint256)]
    u: int256 = unsafe_sub(a & (2**60 - 1), 2**59)
    # Horner's rule from c6 down to c0, nested where it fits: values that stay on the stack are the cheapest.
    p: int256 = unsafe_mul(u, unsafe_sub(w[1] & _M64, 2**63)) >> 59
    p = unsafe_add(
        unsafe_sub((w[1] >> 128) & _M64, 2**63),
        unsafe_mul(u, unsafe_add(unsafe_sub((w[1] >> 64) & _M64, 2**63), p)) >> 59,
    )
    p = unsafe_add(unsafe_sub((w[1] >> 192) & _M64, 2**63), unsafe_mul(u, p) >> 59)
    p = unsafe_add(
        (w[0] >> 80) & _M80,
        unsafe_mul(u, unsafe_add(unsafe_sub(w[0] & _M80, 2**79), unsafe_mul(u, p) >> 59)) >> 59,
    )
    p = unsafe_add((w[0] >> 160) & _M96, unsafe_mul(u, p) >> 59)
    return unsafe_add(unsafe_sub(p ^ sign, sign), sign & 2**80)


@internal
@pure
def _pdf(x: int256) -> int256:
    """
    @notice phi(x).
    @param x Q64.
    @return WAD.
    """
    if abs(x) >= 8 * _ONE:
        return 0
    wad: int256 = x * 10**18 >> 64
    return _INV_SQRT_2PI * math._wad_exp(-(wad * wad // (2 * 10**18))) // 10**18
