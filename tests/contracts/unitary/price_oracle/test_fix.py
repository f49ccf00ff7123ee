"""PriceOracle.fix: the first round at or after an expiry, proven by its predecessor; one answer, for ever."""

import boa
import pytest

from keeper.simulation.chain import addresses
from keeper.simulation.driver import OPERATOR
from tests.contracts.chain import DAY, HOUR, WAD, events, reverts
from tests.contracts.protocol import ETH, ZERO, fault, load

PHASE = 1 << 64


@pytest.fixture
def expiry(protocol):
    """An hour from now."""
    return protocol.market.now + HOUR


@pytest.fixture
def proof(protocol, expiry):
    """Rounds at -60 s (2,990), +0 s (3,010) and +60 s (3,020) of the expiry: the middle one proves it."""
    market = protocol.market
    market.pass_time(HOUR - 60)
    market.submit(2_990)
    market.pass_time(60)
    usdc_round = market.usdc_feed.latestRound()
    round_id = market.submit(3_010)
    market.pass_time(60)
    market.submit(3_020)
    return round_id, usdc_round


def test_fixes_the_first_round_at_or_after_the_expiry(protocol, expiry, proof):
    price = protocol.price_oracle.fix(ETH, expiry, *proof, sender=protocol.stranger)

    (event,) = events(protocol.price_oracle, "Fixed")
    assert (event.underlying, event.expiry, event.price) == (ETH, expiry, price)
    assert (event.round_id, event.usdc_round_id) == proof
    assert price == protocol.price_oracle.fixing(ETH, expiry) == 3_010 * WAD


def test_is_in_usdc(protocol, expiry):
    market = protocol.market
    usdc_round = market.submit_usdc(0.98)
    market.pass_time(HOUR)
    round_id = market.submit(2_940)
    market.pass_time(1)
    market.submit_usdc(1.0)

    assert protocol.price_oracle.fix(ETH, expiry, round_id, usdc_round) == 3_000 * WAD


def test_never_changes(protocol, expiry, proof):
    """Invariant 25: with any later proof, right or wrong, the answer is the first one."""
    fixed = protocol.price_oracle.fix(ETH, expiry, *proof)
    later = protocol.market.submit(9_999)

    assert protocol.price_oracle.fix(ETH, expiry, later, proof[1]) == fixed
    assert protocol.price_oracle.fix(ETH, expiry, 0, 0) == fixed
    assert protocol.price_oracle.fixing(ETH, expiry) == fixed


def test_a_round_before_the_expiry_is_refused(protocol, expiry, proof):
    with reverts("fixing: round before expiry"):
        protocol.price_oracle.fix(ETH, expiry, proof[0] - 1, proof[1])


def test_a_later_round_is_refused(protocol, expiry, proof):
    with reverts("fixing: not the first round"):
        protocol.price_oracle.fix(ETH, expiry, proof[0] + 1, proof[1])


def test_an_expiry_to_come_cannot_be_fixed(protocol):
    market = protocol.market
    latest = market.submit(3_000)

    with reverts("fixing: round before expiry"):
        protocol.price_oracle.fix(ETH, market.now + 1, latest, market.usdc_feed.latestRound())


def test_a_round_that_does_not_exist_is_refused_by_the_feed(protocol, expiry, proof):
    with reverts("No data present"):
        protocol.price_oracle.fix(ETH, expiry, proof[0] + 2, proof[1])


def test_a_phase_to_come_is_refused(protocol, expiry, proof):
    with reverts("fixing: future phase"):
        protocol.price_oracle.fix(ETH, expiry, proof[0] + PHASE, proof[1])


# ---------------------------------------------------------------- phases


def test_the_first_round_of_a_new_phase_follows_the_last_of_the_old(protocol, expiry):
    market = protocol.market
    usdc_round = market.usdc_feed.latestRound()
    market.replace_aggregator()
    market.pass_time(HOUR)
    round_id = market.submit(3_050)

    assert round_id % PHASE == 1
    assert protocol.price_oracle.fix(ETH, expiry, round_id, usdc_round) == 3_050 * WAD


def test_an_empty_phase_in_between_is_skipped(protocol, expiry):
    market = protocol.market
    usdc_round = market.usdc_feed.latestRound()
    market.replace_aggregator()
    market.replace_aggregator()
    market.pass_time(HOUR)
    round_id = market.submit(3_050)

    assert protocol.price_oracle.fix(ETH, expiry, round_id, usdc_round) == 3_050 * WAD


def test_the_old_phase_still_proves_an_expiry_before_the_change(protocol, expiry, proof):
    protocol.market.replace_aggregator()
    protocol.market.submit(4_000)

    assert protocol.price_oracle.fix(ETH, expiry, *proof) == 3_010 * WAD


def test_a_new_phase_without_a_round_is_not_in_force_yet(protocol, expiry, proof):
    protocol.market.replace_aggregator()

    assert protocol.price_oracle.fix(ETH, expiry, *proof) == 3_010 * WAD


def test_the_first_round_of_a_new_phase_is_refused_when_the_old_one_has_the_answer(protocol, expiry, proof):
    protocol.market.replace_aggregator()
    round_id = protocol.market.submit(4_000)

    with reverts("fixing: not the first round"):
        protocol.price_oracle.fix(ETH, expiry, round_id, proof[1])


def test_an_old_aggregator_that_goes_on_gives_no_second_answer(protocol, expiry):
    """Both aggregators have a first round after the expiry; the one in force at the expiry counts."""
    market = protocol.market
    usdc_round, old = market.usdc_feed.latestRound(), market.aggregator
    old_phase = market.feed.phaseId()
    market.replace_aggregator()
    market.submit(3_000)
    market.pass_time(HOUR)
    old.submit(old.latestRound() + 1, 2_000 * 10**8, sender=OPERATOR)
    right = market.submit(3_050)
    wrong = (old_phase << 64) | old.latestRound()

    with reverts("fixing: later phase in force"):
        protocol.price_oracle.fix(ETH, expiry, wrong, usdc_round)

    assert protocol.price_oracle.fix(ETH, expiry, right, usdc_round) == 3_050 * WAD


@pytest.mark.parametrize("rounds", [1, 2, 3, 7, 8, 9])
def test_the_last_round_of_the_old_phase_is_found_however_many_it_had(protocol, expiry, rounds):
    """An old phase whose last round is at the expiry has the answer itself; one that ended before does not."""
    market = protocol.market
    usdc_round = market.usdc_feed.latestRound()
    market.replace_aggregator()
    for _ in range(rounds):
        last = market.submit(3_000)
    market.pass_time(HOUR)
    assert last % PHASE == rounds

    with boa.env.anchor():
        market.replace_aggregator()
        assert protocol.price_oracle.fix(ETH, expiry, market.submit(3_050), usdc_round) == 3_050 * WAD
    answer = market.submit(3_010)
    market.replace_aggregator()
    with reverts("fixing: not the first round"):
        protocol.price_oracle.fix(ETH, expiry, market.submit(3_050), usdc_round)
    assert protocol.price_oracle.fix(ETH, expiry, answer, usdc_round) == 3_010 * WAD


# ---------------------------------------------------------------- who may read what


@pytest.fixture
def guarded(protocol):
    """Aggregators that answer their proxies only, as Chainlink deploys them on mainnet."""
    market = protocol.market
    for aggregator, proxy in ((market.aggregator, market.feed), (market.usdc_aggregator, market.usdc_feed)):
        owner = aggregator.owner()
        aggregator.addAccess(proxy.address, sender=owner)
        aggregator.enableAccessCheck(sender=owner)
    return protocol


def test_fixes_from_aggregators_that_answer_their_proxies_only(guarded, expiry, proof):
    assert guarded.price_oracle.fix(ETH, expiry, *proof) == 3_010 * WAD


def test_a_guarded_aggregator_is_a_predecessor_too(guarded, expiry):
    market = guarded.market
    usdc_round = market.usdc_feed.latestRound()
    market.replace_aggregator()
    market.pass_time(HOUR)

    assert guarded.price_oracle.fix(ETH, expiry, market.submit(3_050), usdc_round) == 3_050 * WAD


def test_a_feed_cannot_be_starved_of_gas(protocol, expiry, proof):
    """A starved call would pass for a missing round: an older USDC round would be the last one."""
    with reverts("fixing: not enough gas"):
        protocol.price_oracle.fix(ETH, expiry, *proof, gas=200_000)


# ---------------------------------------------------------------- the USDC round


def test_an_earlier_usdc_round_is_refused(protocol, expiry, proof):
    with reverts("fixing: not the last round"):
        protocol.price_oracle.fix(ETH, expiry, proof[0], proof[1] - 1)


def test_a_usdc_round_after_the_expiry_is_refused(protocol, expiry, proof):
    later = protocol.market.submit_usdc(0.9)

    with reverts("fixing: round after expiry"):
        protocol.price_oracle.fix(ETH, expiry, proof[0], later)


def test_a_usdc_round_is_the_last_one_though_newer_ones_follow(protocol, expiry, proof):
    protocol.market.submit_usdc(0.9)

    assert protocol.price_oracle.fix(ETH, expiry, *proof) == 3_010 * WAD


def test_an_old_usdc_round_is_refused(protocol):
    market = protocol.market
    usdc_round = market.usdc_feed.latestRound()
    market.pass_time(90_000 - DAY)
    expiry = market.now + DAY + 1
    market.pass_time(DAY + 1)
    round_id = market.submit(3_000)

    with reverts("fixing: USDC round too old"):
        protocol.price_oracle.fix(ETH, expiry, round_id, usdc_round)


# ---------------------------------------------------------------- lying feeds


def lied_to(market, feed):
    row = (feed, 3_900, addresses.POOL_USDC_WETH_500, True, 18)
    return load("PriceOracle").deploy(OPERATOR, [row], market.usdc_feed, 90_000, ZERO)


def without_answers(market, *answers):
    """An oracle whose two feeds have rounds at -60 s of an expiry, at 0 s, 60 s and so on with these ``answers``."""
    feed, now = fault("LyingFeed", 8, 1), market.now
    for i, answer in enumerate(answers):
        feed.set_round(PHASE | (i + 1), answer * 10**8, now - 60 + 60 * i)
    market.pass_time(60 * len(answers))
    row = (feed, 3_900, addresses.POOL_USDC_WETH_500, True, 18)
    return load("PriceOracle").deploy(OPERATOR, [row], feed, 90_000, ZERO), now


@pytest.mark.parametrize("nothing", [0, -1])
def test_a_round_without_answer_is_refused(market, nothing):
    oracle, expiry = without_answers(market, 3_000, nothing, 3_100)

    with reverts("fixing: no answer"):
        oracle.fix(ETH, expiry, PHASE | 2, PHASE | 1)


@pytest.mark.parametrize("nothing", [0, -1])
def test_a_first_round_without_answer_does_not_lock_an_expiry(market, nothing):
    """The first one that has an answer decides."""
    oracle, expiry = without_answers(market, 3_000, nothing, nothing, 3_100, 3_200)
    with reverts("fixing: not the first round"):
        oracle.fix(ETH, expiry, PHASE | 5, PHASE | 1)

    assert oracle.fix(ETH, expiry, PHASE | 4, PHASE | 1) == 3_100 * WAD // 3_000


@pytest.mark.parametrize("nothing", [0, -1])
def test_a_predecessor_without_answer_is_one_all_the_same(market, nothing):
    oracle, expiry = without_answers(market, 2_900, nothing, 3_100)
    expiry += 1

    assert oracle.fix(ETH, expiry, PHASE | 3, PHASE | 1) == 3_100 * WAD // 2_900


def test_more_rounds_without_answer_than_can_be_checked_are_refused(market):
    oracle, expiry = without_answers(market, 3_000, *[0] * 9, 3_100)

    with reverts("fixing: not the first round"):
        oracle.fix(ETH, expiry, PHASE | 11, PHASE | 1)


def test_a_round_that_was_never_begun_is_refused(market):
    oracle, expiry = without_answers(market, 3_000, 3_100)

    with reverts("fixing: no such round"):
        oracle.fix(ETH, expiry, PHASE | 3, PHASE | 1)


def test_a_first_round_ever_has_no_predecessor(market):
    feed = fault("LyingFeed", 8, 1)
    feed.set_round(PHASE | 1, 3_000 * 10**8, market.now)

    with reverts("fixing: no previous round"):
        lied_to(market, feed).fix(0, market.now, PHASE | 1, 0)


def test_more_later_phases_than_can_be_checked_are_refused(market):
    feed = fault("LyingFeed", 8, 66)
    feed.set_round(PHASE | 1, 3_000 * 10**8, market.now - 1)
    feed.set_round(PHASE | 2, 3_000 * 10**8, market.now)

    with reverts("fixing: too many phases"):
        lied_to(market, feed).fix(0, market.now, PHASE | 2, 0)
