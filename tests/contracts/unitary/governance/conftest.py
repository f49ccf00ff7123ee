"""A vault that has been handed over."""

import pytest

from tests.contracts.governed import Governed
from tests.contracts.protocol import Protocol


@pytest.fixture
def governed(protocol: Protocol) -> Governed:
    """The vault as it was deployed, empty, and handed over."""
    return Governed(protocol)
