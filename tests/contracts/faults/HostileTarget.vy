# pragma version 0.4.3
"""
@title HostileTarget
@notice What a governor might be made to call: it calls back, or refuses. As an owner it does what it is told.
"""

answers: public(bool)
calls: public(uint256)
_to: address
_data: Bytes[2048]


@external
def then_call(to: address, data: Bytes[2048]):
    """
    @notice What `poke` is to call.
    """
    self._to = to
    self._data = data


@external
def set_answers(answers: bool):
    self.answers = answers


@external
def poke():
    assert self.answers, "hostile: not now"
    self.calls += 1
    if self._to != empty(address):
        raw_call(self._to, self._data)


@external
def forward(to: address, data: Bytes[2048]):
    raw_call(to, data)
