"""Deployments whose process ends in the middle."""

import pytest
from web3 import HTTPProvider

BEFORE_BROADCAST, AFTER_BROADCAST, AFTER_RECEIPT = "before broadcast", "after broadcast", "after its receipt"


class Crash(BaseException):
    """The process ends. Nobody catches it."""


class CrashingNode(HTTPProvider):
    """A connection whose process ends at the ``n``-th transaction, at ``moment``."""

    def __init__(self, url, n, moment):
        super().__init__(url)
        self.n, self.moment, self.sent = n, moment, 0

    def make_request(self, method, params):
        self.sent += method == "eth_sendRawTransaction"
        is_it = self.sent == self.n
        if is_it and method == "eth_sendRawTransaction" and self.moment == BEFORE_BROADCAST:
            raise Crash
        response = super().make_request(method, params)
        if is_it and method == "eth_sendRawTransaction" and self.moment == AFTER_BROADCAST:
            raise Crash
        if is_it and method == "eth_getTransactionReceipt" and response["result"] and self.moment == AFTER_RECEIPT:
            raise Crash
        return response


def crash(begin, url, n, moment):
    """`begin(node)` over a connection that ends at the `n`-th transaction."""
    with pytest.raises(Crash):
        begin(CrashingNode(url, n, moment))


def interrupted_at_every_transaction(begin, url, sent, transactions, moment):
    """What `begin(node)` returns when all its transactions were interrupted; `sent()` counts those that left."""
    # Before the broadcast nothing is gained, so one more goes through each time.
    for crashed in range(transactions):
        crash(begin, url, 2 if moment == BEFORE_BROADCAST and crashed else 1, moment)
        assert sent() == crashed + (moment != BEFORE_BROADCAST)
    return begin()
