"""The on-chain mathematics, deployed once."""

import pytest

from keeper.pricing.normal_table import normal_table
from tests.keeper.evm import Deployed, FastEvm


@pytest.fixture(scope="session")
def onchain_math() -> Deployed:
    """The modules black76 and normal and snekmate's ln and exp behind one external function each."""
    return FastEvm().deploy("tests/keeper/pricing/math_harness.vy", normal_table())
