# pragma version 0.4.3
"""
@title LyingVenue
@notice A venue that claims what it was told to claim before and after a trade.
"""

struct VenueState:
    underlying: uint256
    exposure: int256
    equity: int256
    stressed_down: int256
    stressed_up: int256
    health: uint256


exposure: public(int256)
equity: public(int256)
exposure_after: public(int256)
claims_to_return: public(uint256)
broken: public(bool)
health: public(uint256)


@deploy
def __init__():
    self.health = max_value(uint256)


@external
def pretend(exposure_after: int256, claims_to_return: uint256):
    self.exposure_after = exposure_after
    self.claims_to_return = claims_to_return


@external
def hold(exposure: int256, equity: int256):
    """
    @notice From now on this is what lies here.
    """
    self.exposure = exposure
    self.equity = equity


@external
def fall_ill(health: uint256):
    """
    @notice From now on this is its health, whatever is done for it.
    """
    self.health = health


@external
def break_down():
    """
    @notice From now on `state` reverts.
    """
    self.broken = True


@external
def mend():
    """
    @notice From now on it answers again.
    """
    self.broken = False


@external
@view
def state(spot: uint256) -> VenueState:
    assert not self.broken, "venue: broken"
    return VenueState(
        underlying=0,
        exposure=self.exposure,
        equity=self.equity,
        stressed_down=self.equity // 2,
        stressed_up=self.equity,
        health=self.health,
    )


@external
@view
def funding(delta_change: int256, limit_price: uint256) -> uint256:
    return 0


@external
def trade(pool: uint256, delta_change: int256, limit_price: uint256) -> uint256:
    self.exposure = self.exposure_after
    return self.claims_to_return
