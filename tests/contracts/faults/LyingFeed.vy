# pragma version 0.4.3
"""
@title LyingFeed
@notice A feed, proxy and aggregator in one, that answers whatever it was told: for prices that Chainlink must never give.
"""

struct Round:
    answer: int256
    updated_at: uint256


decimals: public(uint8)
phaseId: public(uint16)
phaseAggregators: public(HashMap[uint16, address])
latestRound: public(uint256)
_rounds: HashMap[uint80, Round]
_latest: uint80


@deploy
def __init__(decimals: uint8, phase: uint16):
    self.decimals = decimals
    self.phaseId = phase


@external
def set_round(round_id: uint80, answer: int256, updated_at: uint256):
    """
    @notice A round by its proxy id; it becomes the latest. Its phase gets this contract as aggregator.
    """
    self._rounds[round_id] = Round(answer=answer, updated_at=updated_at)
    self._latest = round_id
    self.latestRound = convert(round_id, uint256) & (2**64 - 1)
    self.phaseAggregators[convert(convert(round_id, uint256) >> 64, uint16)] = self


@external
@view
def latestRoundData() -> (uint80, int256, uint256, uint256, uint80):
    return self._round(self._latest)


@external
@view
def getRoundData(round_id: uint80) -> (uint80, int256, uint256, uint256, uint80):
    return self._round(round_id)


@internal
@view
def _round(round_id: uint80) -> (uint80, int256, uint256, uint256, uint80):
    r: Round = self._rounds[round_id]
    return round_id, r.answer, r.updated_at, r.updated_at, round_id
