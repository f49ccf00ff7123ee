# pragma version 0.4.3
"""
@title dead_man
@notice Since when a limit has been in breach, when the keeper was last alive, and from when others may act for it.
        A record of a breach must be confirmed at least every ten minutes, or it starts anew. Others may act 30 minutes after
        the keeper's last heartbeat and not before the breach is 15 minutes old; where equity is below maintenance
        margin, after ten minutes of that.
        A heartbeat counts only while every limit holds: a keeper that lives and does not mend a breach does not delay them.
"""


# @notice What was found; times, zero when it is not so.
# @param since         A limit is in breach.
# @param distressed    Equity at middle marks is below maintenance margin.
# @param confirmed_at  When it was last looked at.
struct Breach:
    since: uint256
    distressed: uint256
    confirmed_at: uint256


event BreachRecorded:
    since: uint256
    distressed: uint256


event BreachCleared:
    pass


_CONFIRM_WITHIN: constant(uint256) = 600
_MIN_AGE: constant(uint256) = 900
_PATIENCE: constant(uint256) = 1800
_DISTRESS_AGE: constant(uint256) = 600

heartbeat_at: public(uint256)
breach: Breach


@deploy
def __init__():
    self.heartbeat_at = block.timestamp


@internal
@view
def _current() -> Breach:
    """
    @return The record, empty when it was not confirmed in time.
    """
    if block.timestamp > self.breach.confirmed_at + _CONFIRM_WITHIN:
        return empty(Breach)
    return self.breach


@internal
def _record(in_breach: bool, distressed: bool):
    """
    @notice Write down what is the case now.
    """
    known: Breach = self._current()
    if in_breach:
        if known.since == 0:
            known.since = block.timestamp
        if not distressed:
            known.distressed = 0
        elif known.distressed == 0:
            known.distressed = block.timestamp
        known.confirmed_at = block.timestamp
        log BreachRecorded(since=known.since, distressed=known.distressed)
        self.breach = known
    elif self.breach.since > 0:
        self.breach = empty(Breach)
        log BreachCleared()


@internal
def _beat():
    """
    @notice The keeper lives, and every limit holds.
    """
    self._record(False, False)
    self.heartbeat_at = block.timestamp


@internal
@view
def _opens_at() -> uint256:
    """
    @return From when others may act; the end of time while no breach is recorded.
    """
    known: Breach = self._current()
    if known.since == 0:
        return max_value(uint256)
    opens_at: uint256 = max(known.since + _MIN_AGE, self.heartbeat_at + _PATIENCE)
    if known.distressed > 0:
        opens_at = min(opens_at, known.distressed + _DISTRESS_AGE)
    return opens_at
