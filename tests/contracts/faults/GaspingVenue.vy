# pragma version 0.4.3
"""
@title GaspingVenue
@notice A venue with 3 units worth 10,000 USDC and an uneasy relation to gas.
"""

struct VenueState:
    underlying: uint256
    exposure: int256
    equity: int256
    stressed_down: int256
    stressed_up: int256
    health: uint256


needs: public(uint256)
burns: public(bool)


@external
def be_careful(needs: uint256):
    """
    @notice From now on it answers only when it gets this much gas, as one that calls others and may not fail half-way.
    """
    self.needs = needs


@external
def burn():
    """
    @notice From now on it burns all gas that it gets.
    """
    self.burns = True


@external
@view
def state(spot: uint256) -> VenueState:
    gas: uint256 = msg.gas
    if self.burns:
        for i: uint256 in range(10_000_000):
            assert msg.gas > 0
    assert gas >= self.needs, "venue: too little gas"
    equity: int256 = 10_000 * 10**18
    return VenueState(
        underlying=0,
        exposure=3 * 10**18,
        equity=equity,
        stressed_down=equity,
        stressed_up=equity,
        health=max_value(uint256),
    )
