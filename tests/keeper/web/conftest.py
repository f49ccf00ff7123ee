"""The quote server's rig, one per test."""

import pytest

from keeper.domain.safety import DeskLimits
from tests.keeper.web.rig import MAKER, Rig


@pytest.fixture
def limits():
    return DeskLimits()


@pytest.fixture
def rig(vault, journal, tmp_path, limits):
    found = Rig(vault, journal, tmp_path, limits, makers=[MAKER])
    with found.desk, found.server:
        while found.tick() is not None:
            """What the keeper sends makes a block, too."""
        yield found
    found.orders.close()
    found.log.close()
