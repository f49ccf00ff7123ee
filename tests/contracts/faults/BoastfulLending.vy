# pragma version 0.4.3
"""
@title BoastfulLending
@notice A lending venue that says what it holds can be withdrawn, and then does not give it, or breaks down altogether.
"""

struct VenueState:
    underlying: uint256
    exposure: int256
    equity: int256
    stressed_down: int256
    stressed_up: int256
    health: uint256


lent: public(uint256)
silent: public(bool)


@external
def fall_silent():
    """
    @notice From now on no question is answered either.
    """
    self.silent = True


@external
def lend(amount: uint256):
    self.lent += amount


@external
def recall(amount: uint256) -> uint256:
    raise "lending: not now"


@external
@view
def withdrawable() -> uint256:
    assert not self.silent, "lending: silent"
    return self.lent


@external
@view
def state(spot: uint256) -> VenueState:
    assert not self.silent, "lending: silent"
    equity: int256 = convert(self.lent * 10**12, int256)
    return VenueState(
        underlying=0, exposure=0, equity=equity, stressed_down=equity, stressed_up=equity, health=max_value(uint256)
    )
