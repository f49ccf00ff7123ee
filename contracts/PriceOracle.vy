# pragma version 0.4.3
# pragma optimize gas
# pragma nonreentrancy on
"""
@title PriceOracle
@license AGPL-3.0
@notice Prices of the underlyings in USDC and their fixings at expiry.

        Price. Chainlink underlying/USD divided by Chainlink USDC/USD, each with its own limit of age. A stale, zero or negative
        answer reverts: nothing is marked with it. On a rollup the price reverts, too, while the sequencer is down and for an
        hour after it came up: until then the feeds have not caught up, and nobody else could have traded.

        Doubt. True when the five-minute Uniswap TWAP is more than 3 % away from the price, when there is no such TWAP, or when
        USDC is more than 1 % away from its peg. Doubt is computed, never latched.

        Fixing. The price at an expiry is that of the first Chainlink round at or after it, proven by its predecessor, in terms
        of the last USDC/USD round at or before it, both of the phase then in force. Rounds without an answer do not count.
        Anyone may submit the proof; there is only one answer, and it never changes.

        Late fixing. Where no round came within two hours of the expiry, or the last USDC round was too old, the governor may
        propose the fixing after a day, within 3 % of the TWAP of the five minutes before the expiry. Anyone can record that while
        the pool remembers it; where nobody did, the governor has to wait for a week, and stay within 20 % of the last round
        before the expiry. After three days anyone may use the first round all the same, however late: nobody's silence leaves
        an expiry open. What nobody could prove in 14 days the governor fixes without a proof, within 20 % of either.

        Wrapped Bitcoin. Where the underlying is WBTC it is marked by the feed of BTC/USD. Should the two part, the pool, which
        trades WBTC, shows it: 3 % are a doubt. Less is not seen.
@custom:kill Holds no funds. A dead feed stops marking by itself.
"""

from snekmate.utils import math
from .interfaces import IChainlinkProxy
from .interfaces import IPriceOracle
from .interfaces import IUniswapV3Pool
from .modules import roles

implements: IPriceOracle
initializes: roles

exports: (roles.roles_of, roles.tightened_at, roles.grant_role, roles.revoke_role, roles.hand_over)


# @notice Where one underlying is priced.
# @param feed           Chainlink underlying/USD proxy.
# @param max_age        Oldest answer accepted, seconds.
# @param pool           Uniswap v3 pool of the underlying and USDC.
# @param usdc_is_token0 Order of the tokens in the pool.
# @param decimals       Of the underlying's token.
struct Market:
    feed: IChainlinkProxy
    max_age: uint256
    pool: IUniswapV3Pool
    usdc_is_token0: bool
    decimals: uint256


event Fixed:
    underlying: indexed(uint256)
    expiry: indexed(uint256)
    price: uint256
    round_id: uint80
    usdc_round_id: uint80


event TwapRecorded:
    underlying: indexed(uint256)
    expiry: indexed(uint256)
    twap: uint256


event FixedLate:
    underlying: indexed(uint256)
    expiry: indexed(uint256)
    price: uint256
    twap: uint256


_W: constant(uint256) = 10**18
_TWAP_WINDOW: constant(int256) = 300
_TWAP_TOLERANCE: constant(uint256) = 3 * 10**16
_PEG_TOLERANCE: constant(uint256) = 10**6  # 1 % of 1e8
_PEG: constant(uint256) = 10**8
_LN_TICK: constant(int256) = 99995000333308  # ln(1.0001), WAD
_USDC_DECIMALS: constant(uint256) = 6
_MAX_PHASES: constant(uint256) = 64
_MAX_ROUND_BITS: constant(uint256) = 40
_SEQUENCER_GRACE: constant(uint256) = 3600  # seconds
_IN_TIME: constant(uint256) = 2 * 3600  # after an expiry, for its round
_PROPOSAL_AFTER: constant(uint256) = 86400
_ANY_ROUND_AFTER: constant(uint256) = 3 * 86400
_NO_TWAP_AFTER: constant(uint256) = 7 * 86400
_LAST_RESORT_AFTER: constant(uint256) = 14 * 86400
_FEED_TO_WAD: constant(uint256) = 10**10
_LATE_TOLERANCE: constant(uint256) = 20 * 10**16
_MAX_UNANSWERED: constant(uint256) = 8  # rounds without an answer in a row
_ROUND_GAS: constant(uint256) = 200_000  # far more than a feed needs to look up a round

USDC_FEED: public(immutable(IChainlinkProxy))
USDC_MAX_AGE: public(immutable(uint256))
SEQUENCER: public(immutable(IChainlinkProxy))

markets: public(DynArray[Market, 2])
fixing: public(HashMap[uint256, HashMap[uint256, uint256]])
twap_at: public(HashMap[uint256, HashMap[uint256, uint256]])  # of the five minutes before an expiry, where recorded


@deploy
def __init__(
    governor: address,
    markets: DynArray[Market, 2],
    usdc_feed: IChainlinkProxy,
    usdc_max_age: uint256,
    sequencer: IChainlinkProxy,
):
    """
    @param sequencer Chainlink's sequencer uptime feed of a rollup, empty on other chains.
    """
    roles.__init__(governor)
    assert len(markets) > 0, "oracle: no markets"
    SEQUENCER = sequencer
    USDC_FEED = usdc_feed
    USDC_MAX_AGE = usdc_max_age
    assert staticcall usdc_feed.decimals() == 8, "oracle: feed decimals"
    for market: Market in markets:
        assert staticcall market.feed.decimals() == 8, "oracle: feed decimals"
        self.markets.append(market)


@external
@view
def read(underlying: uint256) -> IPriceOracle.Reading:
    """
    @notice Price, TWAP, time and doubt of an underlying.
    @custom:reverts When an answer is stale, zero or negative, or the sequencer is down or has just come up.
    """
    self._check_sequencer()
    market: Market = self.markets[underlying]
    answer: uint256 = 0
    updated_at: uint256 = 0
    usdc: uint256 = 0
    usdc_updated_at: uint256 = 0
    answer, updated_at = self._latest(market.feed, market.max_age)
    usdc, usdc_updated_at = self._latest(USDC_FEED, USDC_MAX_AGE)
    price: uint256 = answer * _W // usdc
    twap: uint256 = self._twap(market, 0)
    distance: uint256 = max(price, twap) - min(price, twap)
    depeg: uint256 = max(usdc, _PEG) - min(usdc, _PEG)
    return IPriceOracle.Reading(
        price=price,
        twap=twap,
        updated_at=updated_at,
        doubt=distance * _W > price * _TWAP_TOLERANCE or depeg > _PEG_TOLERANCE,
    )


@external
def fix(underlying: uint256, expiry: uint256, round_id: uint80, usdc_round_id: uint80) -> uint256:
    """
    @notice Record the price at an expiry; a fixing that exists is returned as it is.
    @param round_id First round of the underlying's feed with updatedAt >= expiry, as a proxy round id.
    @param usdc_round_id Last round of the USDC feed with updatedAt <= expiry.
    @return Price in USDC, WAD.
    """
    known: uint256 = self.fixing[underlying][expiry]
    if known > 0:
        return known
    answer: uint256 = 0
    updated_at: uint256 = 0
    usdc: uint256 = 0
    usdc_updated_at: uint256 = 0
    answer, updated_at = self._first_since(self.markets[underlying].feed, round_id, expiry)
    usdc, usdc_updated_at = self._last_until(USDC_FEED, usdc_round_id, expiry)
    if block.timestamp < expiry + _ANY_ROUND_AFTER:
        assert updated_at <= expiry + _IN_TIME, "fixing: round too late"
        assert expiry - usdc_updated_at <= USDC_MAX_AGE, "fixing: USDC round too old"

    price: uint256 = answer * _W // usdc
    self.fixing[underlying][expiry] = price
    log Fixed(
        underlying=underlying, expiry=expiry, price=price, round_id=round_id, usdc_round_id=usdc_round_id
    )
    return price


@external
def record_twap(underlying: uint256, expiry: uint256) -> uint256:
    """
    @notice Record the TWAP of the five minutes before an expiry, while the pool remembers it. Anyone; there is one answer.
    @return Price in USDC, WAD.
    """
    assert expiry <= block.timestamp and self.twap_at[underlying][expiry] == 0, "fixing: nothing to record"
    twap: uint256 = self._twap(self.markets[underlying], block.timestamp - expiry)
    assert twap > 0, "fixing: pool does not remember"
    self.twap_at[underlying][expiry] = twap
    log TwapRecorded(underlying=underlying, expiry=expiry, twap=twap)
    return twap


@external
def fix_late(
    underlying: uint256, expiry: uint256, price: uint256, round_id: uint80, usdc_round_id: uint80, last_round_id: uint80
):
    """
    @notice Record the price at an expiry that no round fixes in time. Governor only.
    @param price USDC, WAD.
    @param round_id First round at or after the expiry, which came too late; zero when there has been none at all.
    @param usdc_round_id Last USDC round at or before it; only asked for when the first one came in time.
    @param last_round_id Last round before the expiry; only asked for when no TWAP was recorded. A US dollar counts as a USDC.
    """
    roles._check(roles.Role.GOVERNOR)
    assert self.fixing[underlying][expiry] == 0, "fixing: there is one"
    assert block.timestamp >= expiry + _PROPOSAL_AFTER, "fixing: too early to propose"
    feed: IChainlinkProxy = self.markets[underlying].feed
    tolerance: uint256 = _LATE_TOLERANCE
    if block.timestamp < expiry + _LAST_RESORT_AFTER:
        assert self._is_late(feed, expiry, round_id, usdc_round_id), "fixing: there is a round in time"
        tolerance = _TWAP_TOLERANCE
    twap: uint256 = self.twap_at[underlying][expiry]
    known: uint256 = twap
    if twap == 0:
        assert block.timestamp >= expiry + _NO_TWAP_AFTER, "fixing: no TWAP recorded"
        known = self._last_until(feed, last_round_id, expiry - 1)[0] * _FEED_TO_WAD
        tolerance = _LATE_TOLERANCE
    assert (max(price, known) - min(price, known)) * _W <= known * tolerance, "fixing: too far from what is known"
    self.fixing[underlying][expiry] = price
    log FixedLate(underlying=underlying, expiry=expiry, price=price, twap=twap)


@external
@view
def count() -> uint256:
    """
    @notice Number of underlyings.
    """
    return len(self.markets)


@internal
@view
def _check_sequencer():
    """
    @notice The feed has a round per change of status: 0 is up, 1 is down, and startedAt is when it changed. updatedAt is no
            measure: the feed refreshes it while nothing changes. A round that was never started counts as down.
    """
    if SEQUENCER.address == empty(address):
        return
    round_id: uint80 = 0
    status: int256 = 0
    started_at: uint256 = 0
    updated_at: uint256 = 0
    answered_in: uint80 = 0
    round_id, status, started_at, updated_at, answered_in = staticcall SEQUENCER.latestRoundData()
    assert status == 0 and started_at > 0, "oracle: sequencer down"
    assert block.timestamp >= started_at + _SEQUENCER_GRACE, "oracle: sequencer just up"


@internal
@view
def _latest(feed: IChainlinkProxy, max_age: uint256) -> (uint256, uint256):
    round_id: uint80 = 0
    answer: int256 = 0
    started_at: uint256 = 0
    updated_at: uint256 = 0
    answered_in: uint80 = 0
    round_id, answer, started_at, updated_at, answered_in = staticcall feed.latestRoundData()
    assert answer > 0, "oracle: no answer"
    assert updated_at <= block.timestamp and block.timestamp - updated_at <= max_age, "oracle: stale"
    return convert(answer, uint256), updated_at


@internal
@view
def _twap(market: Market, ago: uint256) -> uint256:
    """
    @notice Geometric mean price over the window that ended `ago` seconds ago, in USDC, WAD; zero when the pool's history is
            too short.
    """
    window: DynArray[uint32, 2] = [convert(ago + convert(_TWAP_WINDOW, uint256), uint32), convert(ago, uint32)]
    success: bool = False
    response: Bytes[256] = b""
    success, response = raw_call(
        market.pool.address,
        abi_encode(window, method_id=method_id("observe(uint32[])")),
        max_outsize=256,
        is_static_call=True,
        revert_on_failure=False,
    )
    if not success or len(response) < 256:
        return 0
    # response: two offsets, then a length and two cumulative ticks
    earlier: int256 = convert(slice(response, 96, 32), int256)
    later: int256 = convert(slice(response, 128, 32), int256)
    log_price: int256 = (later - earlier) * _LN_TICK // _TWAP_WINDOW
    if market.usdc_is_token0:
        log_price = -log_price
    raw: uint256 = convert(math._wad_exp(log_price), uint256)
    return raw * 10**market.decimals // 10**_USDC_DECIMALS


@internal
@view
def _first_since(feed: IChainlinkProxy, round_id: uint80, expiry: uint256) -> (uint256, uint256):
    """
    @return Answer and time of a round, after checking that it is the first one with an answer at or after an expiry.
    """
    answer: uint256 = 0
    updated_at: uint256 = 0
    answer, updated_at = self._answered(feed, round_id)
    assert updated_at >= expiry and expiry <= block.timestamp, "fixing: round before expiry"
    earlier: uint80 = round_id
    earlier_at: uint256 = updated_at
    for _: uint256 in range(1 + _MAX_UNANSWERED):
        earlier = self._previous(feed, earlier)
        earlier_answer: int256 = 0
        earlier_answer, earlier_at = self._round(feed, earlier)
        if earlier_at < expiry or earlier_answer > 0:
            break
    assert earlier_at < expiry, "fixing: not the first round"
    self._check_in_force(feed, round_id, expiry)
    return answer, updated_at


@internal
@view
def _last_until(feed: IChainlinkProxy, round_id: uint80, time: uint256) -> (uint256, uint256):
    """
    @return Answer and time of a round, after checking that it is the last one with an answer at or before a time.
    """
    answer: uint256 = 0
    updated_at: uint256 = 0
    answer, updated_at = self._answered(feed, round_id)
    assert updated_at <= time, "fixing: round after expiry"
    later_at: uint256 = max_value(uint256)
    for i: uint256 in range(1, 2 + _MAX_UNANSWERED):
        later: uint80 = round_id + convert(i, uint80)
        later_at = max_value(uint256)
        if not self._exists(feed, later):
            break
        later_answer: int256 = 0
        later_answer, later_at = self._round(feed, later)
        if later_at > time or later_answer > 0:
            break
    assert later_at > time, "fixing: not the last round"
    self._check_in_force(feed, round_id, time + 1)
    return answer, updated_at


@internal
@view
def _is_late(feed: IChainlinkProxy, expiry: uint256, round_id: uint80, usdc_round_id: uint80) -> bool:
    """
    @return Whether an expiry has no round in time, proven as in `fix_late`.
    """
    answer: uint256 = 0
    updated_at: uint256 = 0
    if round_id == 0:
        return self._newest(feed) < expiry
    answer, updated_at = self._first_since(feed, round_id, expiry)
    if updated_at > expiry + _IN_TIME:
        return True
    answer, updated_at = self._last_until(USDC_FEED, usdc_round_id, expiry)
    return expiry - updated_at > USDC_MAX_AGE


@internal
@view
def _newest(feed: IChainlinkProxy) -> uint256:
    """
    @return Time of a feed's latest round, zero when it does not answer.
    """
    assert msg.gas > _ROUND_GAS, "fixing: not enough gas"
    success: bool = False
    response: Bytes[160] = b""
    success, response = raw_call(
        feed.address,
        method_id("latestRoundData()"),
        max_outsize=160,
        is_static_call=True,
        revert_on_failure=False,
    )
    if not success or len(response) < 160:
        return 0
    return convert(slice(response, 96, 32), uint256)


@internal
@view
def _round(feed: IChainlinkProxy, round_id: uint80) -> (int256, uint256):
    """
    @return Answer and time of a round that exists in a phase the proxy has reached. There may be no answer in it: zero or less.
    """
    assert convert(round_id, uint256) >> 64 <= convert(staticcall feed.phaseId(), uint256), "fixing: future phase"
    found: uint80 = 0
    answer: int256 = 0
    started_at: uint256 = 0
    updated_at: uint256 = 0
    answered_in: uint80 = 0
    found, answer, started_at, updated_at, answered_in = staticcall feed.getRoundData(round_id)
    assert updated_at > 0 and found == round_id, "fixing: no such round"
    return answer, updated_at


@internal
@view
def _answered(feed: IChainlinkProxy, round_id: uint80) -> (uint256, uint256):
    """
    @return Answer and time of a round that has an answer.
    """
    answer: int256 = 0
    updated_at: uint256 = 0
    answer, updated_at = self._round(feed, round_id)
    assert answer > 0, "fixing: no answer"
    return convert(answer, uint256), updated_at


@internal
@view
def _exists(feed: IChainlinkProxy, round_id: uint80) -> bool:
    """
    @notice Whether the feed has a round. Asked of the proxy: an aggregator answers its proxy only, not other contracts.
            Some aggregators revert for a round that does not exist, others give zeros.
    """
    assert msg.gas > _ROUND_GAS, "fixing: not enough gas"  # or a call that is starved would pass for a missing round
    success: bool = False
    response: Bytes[160] = b""
    success, response = raw_call(
        feed.address,
        abi_encode(round_id, method_id=method_id("getRoundData(uint80)")),
        max_outsize=160,
        is_static_call=True,
        revert_on_failure=False,
    )
    return success and len(response) == 160 and convert(slice(response, 96, 32), uint256) > 0


@internal
@view
def _last_of_phase(feed: IChainlinkProxy, phase: uint256) -> uint80:
    """
    @return Proxy round id of a phase's last round, zero when the phase is empty. Rounds are numbered from 1 without gaps.
    """
    base: uint256 = phase << 64
    if not self._exists(feed, convert(base | 1, uint80)):
        return 0
    last: uint256 = 1
    step: uint256 = 1
    for _: uint256 in range(_MAX_ROUND_BITS):  # ever longer steps up, then ever shorter ones
        if not self._exists(feed, convert(base | (last + step), uint80)):
            break
        last += step
        step *= 2
    for _: uint256 in range(_MAX_ROUND_BITS):
        step //= 2
        if step == 0:
            break
        if self._exists(feed, convert(base | (last + step), uint80)):
            last += step
    return convert(base | last, uint80)


@internal
@view
def _previous(feed: IChainlinkProxy, round_id: uint80) -> uint80:
    """
    @notice The round before: in the same phase, or the last one of the nearest earlier phase that is not empty.
    """
    if convert(round_id, uint256) & (2**64 - 1) > 1:
        return round_id - 1
    phase: uint256 = convert(round_id, uint256) >> 64
    for _: uint256 in range(_MAX_PHASES):
        if phase == 0:
            break
        phase -= 1
        last: uint80 = self._last_of_phase(feed, phase)
        if last != 0:
            return last
    raise "fixing: no previous round"


@internal
@view
def _check_in_force(feed: IChainlinkProxy, round_id: uint80, since: uint256):
    """
    @notice Every later phase must begin at `since` or after it. An aggregator can go on after its successor took over:
            without this rule both would have a first round after an expiry, and whoever fixes could choose.
    """
    phase: uint256 = convert(round_id, uint256) >> 64
    later_phases: uint256 = convert(staticcall feed.phaseId(), uint256) - phase
    assert later_phases <= _MAX_PHASES, "fixing: too many phases"
    for _: uint256 in range(later_phases, bound=_MAX_PHASES):
        phase += 1
        first: uint80 = convert((phase << 64) | 1, uint80)
        if self._exists(feed, first):
            assert self._round(feed, first)[1] >= since, "fixing: later phase in force"
