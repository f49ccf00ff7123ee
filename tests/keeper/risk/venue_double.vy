# pragma version 0.4.3
# pragma optimize gas
"""
@title A venue in the state that a test chose
"""

from contracts.interfaces import IVenue

_state: IVenue.VenueState


@external
def set(state: IVenue.VenueState):
    self._state = state


@external
@view
def state(spot: uint256) -> IVenue.VenueState:
    return self._state
