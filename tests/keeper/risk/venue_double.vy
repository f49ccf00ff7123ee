# pragma version 0.4.3
# pragma optimize gas
"""
@title A venue in the state that a test chose
"""

from contracts.interfaces import IVenue

_state: IVenue.VenueState

short_margin: public(uint256)


@external
def set(state: IVenue.VenueState, short_margin: uint256):
    self._state = state
    self.short_margin = short_margin


@external
@view
def state(spot: uint256) -> IVenue.VenueState:
    return self._state
