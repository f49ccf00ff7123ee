"""Seeds of everything at once: one economic action, spending within its budget, nonces without a gap, journal equal to
the chain, and at the end delta inside its band. In every sixth one the keeper has to halt first: people are told,
nothing is sent, and it hedges when somebody has acted.

The ordinary run plays 60 seeds, 6 of them with a process that is killed by `kill -9`; `make stress` 1,000 and 50. What
fired how often is printed at the end, and all of it must have (conftest.py). A seed is played again by

    HYPOTHESIS_PROFILE=stress pytest -p no:ape_test 'tests/faults/test_storms.py::test_everything_fails_at_once[SEED]'
"""

import pytest

from tests.faults.halting import come_to_a_halt, halt_of
from tests.faults.killing import killing
from tests.faults.seeds import FIRED, KILLED, READY, SEEDS
from tests.faults.storm import storm

pytestmark = pytest.mark.timeout(3_600)  # on a busy machine


@pytest.mark.parametrize("seed", range(SEEDS))
def test_everything_fails_at_once(arena, tmp_path, seed, record_property):
    with storm(arena, tmp_path, seed) as play:
        play.rage()
        if (halt := halt_of(seed)) is not None:
            come_to_a_halt(play, halt)
        play.come_to_rest()
        play.check()
        record_property(FIRED, dict(play.fired))


@pytest.mark.parametrize("seed", range(KILLED))
def test_a_process_is_killed_in_the_middle_of_it(arena, tmp_path, seed, record_property):
    """Fault 1: by `kill -9`, when it asks a node or has just been answered."""
    with killing(arena, tmp_path, seed) as play:
        play.rage()
        play.come_to_rest()
        play.check()
        record_property(FIRED, dict(play.fired))
        record_property(READY, play.ready)
