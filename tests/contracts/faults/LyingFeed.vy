# pragma version 0.4.3
"""
@title LyingFeed
@notice A feed that answers whatever it was told: for prices that Chainlink must never give.
"""

struct Round:
    answer: int256
    started_at: uint256
    updated_at: uint256


decimals: public(uint8)
phaseId: public(uint16)
_rounds: HashMap[uint80, Round]
_latest: uint80


@deploy
def __init__(decimals: uint8, phase: uint16):
    self.decimals = decimals
    self.phaseId = phase


@external
def set_round(round_id: uint80, answer: int256, updated_at: uint256):
    """
    @notice A round by its proxy id; it becomes the latest.
    """
    self._set(round_id, answer, updated_at, updated_at)


@external
def set_round_since(round_id: uint80, answer: int256, started_at: uint256, updated_at: uint256):
    """
    @notice A round that took longer: a sequencer's status holds from `started_at` on and is refreshed.
    """
    self._set(round_id, answer, started_at, updated_at)


@external
@view
def latestRoundData() -> (uint80, int256, uint256, uint256, uint80):
    return self._round(self._latest)


@external
@view
def getRoundData(round_id: uint80) -> (uint80, int256, uint256, uint256, uint80):
    return self._round(round_id)


@internal
def _set(round_id: uint80, answer: int256, started_at: uint256, updated_at: uint256):
    self._rounds[round_id] = Round(answer=answer, started_at=started_at, updated_at=updated_at)
    self._latest = round_id


@internal
@view
def _round(round_id: uint80) -> (uint80, int256, uint256, uint256, uint80):
    r: Round = self._rounds[round_id]
    return round_id, r.answer, r.started_at, r.updated_at, round_id
