"""The rounds that prove a fixing are the ones that PriceOracle.fix takes, whatever the feeds' history looks like."""

from keeper.market.rounds import FixingProof, find_proof
from keeper.simulation.chain.addresses import ETH_USD_FEED, USDC_USD_FEED
from keeper.simulation.contract_calls import read

ROUND = "(uint80,int256,uint256,uint256,uint80)"


def proof_of(vault, expiry):
    connection = vault.connection
    return find_proof(connection, vault.deployment, connection.header(), 0, expiry)


def fixed(vault, expiry, proof):
    """The price that the contract records with the proof."""
    vault.send("stranger", "PriceOracle", "fix", 0, expiry, proof.round_id, proof.usdc_round_id)
    return vault.read("PriceOracle", "fixing", 0, expiry)


def latest(vault, feed):
    return read(vault.market.rpc, feed, "latestRoundData()", ROUND)


def test_the_first_round_at_or_after_the_expiry_fixes_it(vault):
    before = vault.market.step(3_100)
    at = vault.market.step(3_200, timestamp=before.timestamp + 100)
    vault.market.step(3_300)

    proof = proof_of(vault, at.timestamp)

    assert fixed(vault, at.timestamp, proof) == 3_200 * 10**18
    assert proof.round_id == latest(vault, ETH_USD_FEED)[0] - 1


def test_the_last_usdc_round_at_or_before_the_expiry_counts(vault):
    vault.market.step(3_000, usdc=0.99)
    expiry = vault.market.step(3_000, usdc=0.98).timestamp + 10
    vault.market.step(3_000, usdc=0.97, timestamp=expiry + 20)
    vault.market.step(3_000, usdc=0.96)

    proof = proof_of(vault, expiry)

    assert fixed(vault, expiry, proof) == 3_000 * 10**18 * 100 // 98
    assert proof.usdc_round_id == latest(vault, USDC_USD_FEED)[0] - 2


def test_a_round_far_back_is_found(vault):
    expiry = vault.market.step(3_456).timestamp
    for turn in range(140):
        vault.market.step(3_000 + turn, pools=False)

    assert fixed(vault, expiry, proof_of(vault, expiry)) == 3_456 * 10**18


def test_the_predecessor_may_be_in_an_earlier_phase(vault):
    """The driver opened a new phase when it took the feeds over: the snapshot's own rounds are in the one before."""
    phase = latest(vault, ETH_USD_FEED)[0] >> 64
    first = read(vault.market.rpc, ETH_USD_FEED, "getRoundData(uint80)", ROUND, phase << 64 | 1)
    previous = read(
        vault.market.rpc, ETH_USD_FEED, "getRoundData(uint80)", ROUND, _last_of(vault, ETH_USD_FEED, phase - 1)
    )
    assert previous[3] < first[3]

    proof = proof_of(vault, first[3])

    assert proof.round_id == first[0]
    assert fixed(vault, first[3], proof) > 0


def _last_of(vault, feed, phase):
    aggregator = read(vault.market.rpc, feed, "phaseAggregators(uint16)", "address", phase)
    return phase << 64 | read(vault.market.rpc, aggregator, "latestRound()", "uint256")


def test_before_the_round_exists_there_is_no_proof(vault):
    assert proof_of(vault, vault.now() + 1) is None


def test_a_time_before_all_rounds_has_no_proof(vault):
    assert proof_of(vault, 1_000_000_000) is None


def test_a_fixing_that_is_recorded_needs_no_rounds(vault):
    expiry = vault.market.step(3_100).timestamp
    fixed(vault, expiry, proof_of(vault, expiry))

    assert proof_of(vault, expiry) == FixingProof(0, 0)
