"""The contracts' arithmetic in Python integers, equal to the last unit.

Vyper's ``//`` truncates towards zero where Python's floors: `tdiv` is Vyper's. ``>>`` floors in both. Nothing here
wraps: the contracts keep every unchecked operation inside 256 bits, and what is too large for them reverts there.
"""

from __future__ import annotations

from math import isqrt
from typing import Final

from keeper.domain.snapshot import VolSlice
from keeper.domain.units import WAD, YEAR
from keeper.pricing.errors import PricingError
from keeper.pricing.normal_table import normal_table

ONE: Final = 2**64  # Q64
MIN_S: Final = 2**64 // 10**6

_INV_SQRT_2PI: Final = 398942280401432677
_LN2_Q96: Final = 54916777467707473351141471128
_EXP_MIN: Final = -41446531673892822313
_EXP_MAX: Final = 135305999368893231589
_M64: Final = 2**64 - 1
_M80: Final = 2**80 - 1


def tdiv(a: int, b: int) -> int:
    """Quotient truncated towards zero, as Vyper's ``//`` and the EVM's SDIV."""
    return a // b if (a >= 0) == (b > 0) else -(-a // b)


def wad_ln(x: int) -> int:
    """snekmate 0.1.2 ``math._wad_ln``: natural logarithm, WAD to WAD; 0 for 0.

    Raises:
        PricingError: ``x`` is negative.
    """
    if x < 0:
        raise PricingError("math: wad_ln undefined")
    if x == 0:
        return 0
    k = x.bit_length() - 1 - 96
    x = x << (159 - k) >> 159
    p = ((x + 3273285459638523848632254066296) * x >> 96) + 24828157081833163892658089445524
    p = (p * x >> 96) + 43456485725739037958740375743393
    p = (p * x >> 96) - 11111509109440967052023855526967
    p = (p * x >> 96) - 45023709667254063763336534515857
    p = (p * x >> 96) - 14706773417378608786704636184526
    p = p * x - (795164235651350426258249787498 << 96)
    q = ((x + 5573035233440673466300451813936) * x >> 96) + 71694874799317883764090561454958
    q = (q * x >> 96) + 283447036172924575727196451306956
    q = (q * x >> 96) + 401686690394027663651624208769553
    q = (q * x >> 96) + 204048457590392012362485061816622
    q = (q * x >> 96) + 31853899698501571402653359427138
    q = (q * x >> 96) + 909429971244387300277376558375
    scaled = tdiv(p, q) * 1677202110996718588342820967067443963516166
    scaled += k * 16597577552685614221487285958193947469193820559219878177908093499208371
    return scaled + 600920179829731861736702779321621459595472258049074101567377883020018308 >> 174


def wad_exp(x: int) -> int:
    """snekmate 0.1.2 ``math._wad_exp``: exponential function, WAD to WAD.

    Raises:
        PricingError: the result does not fit.
    """
    if x <= _EXP_MIN:
        return 0
    if x >= _EXP_MAX:
        raise PricingError("math: wad_exp overflow")
    x = tdiv(x << 78, 5**18)
    k = tdiv(x << 96, _LN2_Q96) + 2**95 >> 96
    x -= k * _LN2_Q96
    y = ((x + 1346386616545796478920950773328) * x >> 96) + 57155421227552351082224309758442
    p = ((y + x - 94201549194550492254356042504812) * y >> 96) + 28719021644029726153956944680412240
    p = p * x + (4385272521454847904659076985693276 << 96)
    q = ((x - 2855989394907223263936484059900) * x >> 96) + 50020603652535783019961831881945
    q = (q * x >> 96) - 533845033583426703283633433725380
    q = (q * x >> 96) + 3604857256930695427073651918091429
    q = (q * x >> 96) - 14423608567350463180887372962807573
    q = (q * x >> 96) + 26449188498355588339934803723976023
    return tdiv(p, q) * 3822833074963236453042738258902158003155416615667 >> (195 - k)


def cdf(x: int) -> int:
    """Phi(x) by the table of ``contracts/modules/normal.vy``, Q64 to Q80."""
    a = abs(x)
    if a >= 8 * ONE:
        return 2**80 if x > 0 else 0
    table = normal_table()
    i = a >> 60 << 1
    low, high = table[i], table[i + 1]
    u = (a & (2**60 - 1)) - 2**59
    p = u * ((high & _M64) - 2**63) >> 59
    p = (u * ((high >> 64 & _M64) - 2**63 + p) >> 59) + (high >> 128 & _M64) - 2**63
    p = (u * p >> 59) + (high >> 192) - 2**63
    p = (u * p >> 59) + (low & _M80) - 2**79
    p = (u * p >> 59) + (low >> 80 & _M80)
    p = (u * p >> 59) + (low >> 160)
    return p if x >= 0 else 2**80 - p


def pdf(x: int) -> int:
    """phi(x), Q64 to WAD."""
    if abs(x) >= 8 * ONE:
        return 0
    wad = x * WAD >> 64
    return _INV_SQRT_2PI * wad_exp(-(wad * wad // (2 * WAD))) // WAD


def call(forward: int, strike: int, x: int, s: int) -> int:
    """``black76._call``: money in WAD, x = ln(F/K) and s = σ√T in Q64."""
    v = max(s, MIN_S)
    return call_at(forward, strike, x * (2**128 // v) >> 64, v >> 1)


def call_at(forward: int, strike: int, y: int, half: int) -> int:
    """``black76._call_at``: the same for y = x/s and half = s/2."""
    return max(forward * cdf(y + half) - strike * cdf(y - half) >> 80, forward - strike, 0)


def d1(x: int, s: int) -> int:
    """``black76._d1``, Q64."""
    v = max(s, MIN_S)
    return (x * (2**128 // v) >> 64) + (v >> 1)


def essvi_vol(posted: VolSlice, expiry: int, k: int) -> int:
    """``essvi._vol``: annualised implied volatility at log-moneyness ``k``, WAD."""
    phi_k = tdiv(posted.phi * k, WAD)
    root = isqrt((phi_k + posted.rho) ** 2 + WAD * WAD - posted.rho**2)
    variance = tdiv(posted.theta * (WAD + tdiv(posted.rho * phi_k, WAD) + root), 2 * WAD)
    return isqrt(max(variance, 0) * YEAR // (expiry - posted.posted_at) * WAD)
