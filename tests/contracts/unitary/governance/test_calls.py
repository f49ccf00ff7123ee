"""Governance.submit, accept, revoke: which call can be made, when, and by whom."""

import boa
import pytest

from tests.contracts.chain import DAY, HOUR, events, reverts
from tests.contracts.governed import Governed, call, selector
from tests.contracts.protocol import ETH, KEEPER, Budgets, Limits, fault, wad

WINDOW = 14 * DAY


@pytest.fixture
def loosening(governed):
    """A call that doubles a band."""
    return call(governed.protocol.risk, "set_limits", Limits(vega_band=wad(0.24)))


@pytest.fixture
def pending(governed, loosening):
    """That call, announced."""
    governed.submit(loosening)
    return loosening


def test_a_call_is_announced_with_all_its_bytes(governed, loosening):
    id = governed.submit(loosening)

    (event,) = events(governed.governance, "Submitted")
    ready_at = governed.protocol.market.now + 48 * HOUR
    assert (event.id, event.target, event.data, event.ready_at) == (id, *loosening, ready_at)
    assert governed.governance.ready_at(id) == ready_at
    assert governed.governance.id_of(*loosening) == id


def test_a_call_is_made_once_it_has_waited(governed, pending):
    """Invariant 41: increases wait for the timelock."""
    governed.pass_time(48 * HOUR)

    governed.accept(pending)

    (event,) = events(governed.governance, "Accepted")
    id = governed.governance.id_of(*pending)
    assert event.id == id
    assert governed.governance.ready_at(id) == 0
    assert governed.protocol.risk.limits() == Limits(vega_band=wad(0.24))


def test_a_call_cannot_be_made_a_second_early(governed, pending):
    """Invariant 41: increases wait for the timelock."""
    governed.pass_time(48 * HOUR - 1)

    with reverts("timelock: too early"):
        governed.accept(pending)


def test_a_call_that_was_not_announced_cannot_be_made(governed, loosening):
    with reverts("timelock: not pending"):
        governed.accept(loosening)


def test_other_bytes_than_were_announced_cannot_be_made(governed, pending):
    governed.pass_time(48 * HOUR)

    with reverts("timelock: not pending"):
        governed.accept(call(governed.protocol.risk, "set_limits", Limits(vega_band=wad(0.25))))


def test_the_same_bytes_cannot_be_sent_to_another_contract(governed):
    """`grant_role` is the same call everywhere: what was announced is one contract's."""
    governed.submit(call(governed.protocol.vol_oracle, "grant_role", governed.protocol.stranger, KEEPER))
    governed.pass_time(48 * HOUR)

    with reverts("timelock: not pending"):
        governed.accept(call(governed.protocol.hedger, "grant_role", governed.protocol.stranger, KEEPER))


def test_a_call_is_made_once(governed, pending):
    """Attack A27: replay of an accepted call."""
    governed.pass_time(48 * HOUR)
    governed.accept(pending)

    with reverts("timelock: not pending"):
        governed.accept(pending)


def test_a_call_lapses_two_weeks_after_it_was_ready(governed, pending):
    governed.pass_time(48 * HOUR + WINDOW + 1)

    with reverts("timelock: expired"):
        governed.accept(pending)


def test_a_call_can_be_made_until_it_lapses(governed, pending):
    governed.pass_time(48 * HOUR + WINDOW)

    governed.accept(pending)

    assert governed.protocol.risk.limits().vega_band == wad(0.24)


def test_a_lapsed_call_waits_anew(governed, pending):
    governed.pass_time(48 * HOUR + WINDOW + 1)

    governed.submit(pending)

    with reverts("timelock: too early"):
        governed.accept(pending)


def test_announcing_again_does_not_move_the_clock(governed, pending):
    governed.pass_time(HOUR)

    with reverts("timelock: already pending"):
        governed.submit(pending)


@pytest.mark.parametrize("who", ["owner", "guardian"])
def test_a_pending_call_is_revoked_at_once(governed, pending, who):
    id = governed.governance.id_of(*pending)

    governed.governance.revoke(id, sender=getattr(governed, who))

    (event,) = events(governed.governance, "Revoked")
    assert event.id == id
    governed.pass_time(48 * HOUR)
    with reverts("timelock: not pending"):
        governed.accept(pending)


def test_a_revoked_call_waits_anew(governed, pending):
    """Attack A27: revoking and announcing again is no way round."""
    governed.pass_time(47 * HOUR)
    governed.governance.revoke(governed.governance.id_of(*pending), sender=governed.owner)
    governed.submit(pending)
    governed.pass_time(47 * HOUR)

    with reverts("timelock: too early"):
        governed.accept(pending)


def test_what_is_not_pending_cannot_be_revoked(governed):
    with reverts("timelock: not pending"):
        governed.governance.revoke(b"\x01" * 32, sender=governed.owner)


def test_others_neither_announce_nor_make_nor_revoke(governed, pending):
    id = governed.governance.id_of(*pending)
    governed.pass_time(48 * HOUR)

    for stranger in (governed.protocol.stranger, governed.protocol.keeper):
        with reverts("governance: not the owner"):
            governed.governance.submit(*pending, sender=stranger)
        with reverts("governance: not the owner"):
            governed.governance.accept(*pending, sender=stranger)
        with reverts("governance: not the owner"):
            governed.governance.revoke(id, sender=stranger)


def test_a_guardian_neither_announces_nor_makes_a_call(governed, pending):
    """Invariant 40."""
    governed.pass_time(48 * HOUR)

    with reverts("governance: not the owner"):
        governed.governance.submit(*pending, sender=governed.guardian)
    with reverts("governance: not the owner"):
        governed.governance.accept(*pending, sender=governed.guardian)


# ---------------------------------------------------------------- delays


@pytest.mark.parametrize(
    ("signature", "delay"),
    [
        ("revoke_role(address,uint256)", 0),
        ("grant_role(address,uint256)", 48 * HOUR),
        ("set_owner(address)", 48 * HOUR),
        ("anything_else()", 48 * HOUR),
        ("list_venue(address,uint256)", 7 * DAY),
        ("retire_venue(uint256,bool)", 7 * DAY),
        ("hand_over(address)", 7 * DAY),
        ("abdicate(address,bytes4)", 7 * DAY),
    ],
)
def test_delays_go_by_the_function(governed, signature, delay):
    assert governed.governance.delay_of(selector(signature)) == delay


def test_a_new_venue_waits_for_a_week(governed):
    """Invariant 41: increases wait for the timelock."""
    listing = call(governed.protocol.vault, "list_venue", fault("LyingVenue"), ETH)
    governed.submit(listing)

    governed.pass_time(7 * DAY - 1)
    with reverts("timelock: too early"):
        governed.accept(listing)
    governed.pass_time(1)
    governed.protocol.market.wait(0)  # listing asks the oracle
    governed.accept(listing)

    assert len(governed.protocol.vault.all_venues()) == 3


def test_trailing_bytes_do_not_shorten_the_delay(governed):
    """Attack A27: another encoding of a call that waits for a week."""
    target, data = call(governed.protocol.vault, "list_venue", fault("LyingVenue"), ETH)
    for disguised in (data + b"\x00", data + b"\x00" * 32, data + data):
        governed.submit((target, disguised))
        governed.pass_time(7 * DAY - 1)
        with reverts("timelock: too early"):
            governed.accept((target, disguised))


def test_dirty_arguments_are_refused_by_the_target(governed):
    """Attack A27: an address with dirt above its 160 bits."""
    target, data = call(governed.protocol.vault, "list_venue", fault("LyingVenue"), ETH)
    dirty = (target, data[:4] + b"\x01" + data[5:])
    governed.submit(dirty)
    governed.pass_time(7 * DAY)

    with reverts(None):
        governed.accept(dirty)


def test_a_call_without_a_selector_is_refused(governed):
    for data in (b"", b"\x01\x02\x03"):
        with reverts("timelock: no selector"):
            governed.submit((governed.protocol.vault.address, data))


def test_handing_a_contract_over_is_no_way_round_the_week_of_a_venue(governed):
    """Attack A27: whoever becomes governor himself has no delays."""
    taking = call(governed.protocol.vault, "hand_over", governed.owner)
    governed.submit(taking)
    governed.pass_time(7 * DAY - 1)

    with reverts("timelock: too early"):
        governed.accept(taking)
    with reverts("roles: not allowed"):
        governed.protocol.vault.list_venue(fault("LyingVenue"), ETH, sender=governed.owner)


def test_a_batch_of_another_contract_has_no_authority(governed):
    """Attack A27: what a called contract calls, it calls as itself."""
    batch = fault("HostileTarget")
    through = call(batch, "forward", *call(governed.protocol.vault, "list_venue", fault("LyingVenue"), ETH))
    governed.submit(through)
    governed.pass_time(48 * HOUR)

    with reverts("roles: not allowed"):
        governed.accept(through)


def test_components_cannot_be_wired_again(governed):
    """Attack A27: one-shot setters are spent before the hand-over."""
    wired = {"vault": governed.protocol.vault, "book": governed.protocol.book}
    for name, contract in wired.items():
        (wire,) = (entry for entry in contract.abi if entry.get("name") == "wire")
        rewiring = call(contract, "wire", *[governed.protocol.stranger] * len(wire["inputs"]))
        governed.submit(rewiring)
        governed.pass_time(48 * HOUR)
        with reverts(f"{name}: already wired"):
            governed.accept(rewiring)


# ---------------------------------------------------------------- tightening


def test_a_tightening_is_instant_and_voids_what_waits(governed, pending):
    """Attack A27: a call announced while it changes nothing would, once limits are tightened, loosen them at once."""
    hedger = governed.protocol.hedger
    parked = call(hedger, "set_budgets", Budgets())  # as they are: nothing to be alarmed by
    governed.submit(parked)
    governed.pass_time(48 * HOUR)
    hedger.tighten_budgets(Budgets(loss_capacity=wad(0.0005)), sender=governed.owner)

    with reverts("timelock: tightened since"):
        governed.accept(parked)

    assert hedger.budgets().loss_capacity == wad(0.0005)


def test_a_revoked_key_is_not_granted_by_a_call_that_waits_already(governed):
    """Attack A27: the same with a key that was stolen."""
    hedger, keeper = governed.protocol.hedger, governed.protocol.keeper
    parked = call(hedger, "grant_role", keeper, KEEPER)
    governed.submit(parked)
    governed.pass_time(48 * HOUR)
    hedger.revoke_role(keeper, KEEPER, sender=governed.guardian)

    with reverts("timelock: tightened since"):
        governed.accept(parked)


@pytest.mark.parametrize("who", ["guardian", "drawdown"])
def test_a_vault_that_has_stopped_is_not_started_by_a_call_that_waits_already(funded, who):
    """Attack A27: the same with a latch, the guardian's or that of a drawdown."""
    governed = Governed(funded)
    funded.vault.checkpoint()
    parked = call(funded.breaker, "set_reduce_only", False)
    governed.submit(parked)
    funded.market.wait(48 * HOUR)
    if who == "guardian":
        funded.breaker.set_reduce_only(True, sender=governed.guardian)
    else:
        funded.overwrite("idle", funded.vault.idle() * 8 // 10)
        funded.vault.checkpoint()
    assert funded.breaker.latched()

    with reverts("timelock: tightened since"):
        governed.accept(parked)


def test_what_a_tightening_voided_waits_anew(governed):
    hedger = governed.protocol.hedger
    looser = call(hedger, "set_budgets", Budgets())
    governed.submit(looser)
    hedger.tighten_budgets(Budgets(loss_capacity=0), sender=governed.owner)
    governed.governance.revoke(governed.governance.id_of(*looser), sender=governed.owner)
    governed.pass_time(1)

    governed.do(hedger, "set_budgets", Budgets())

    assert hedger.budgets() == Budgets()


def test_a_tightening_of_one_contract_voids_nothing_of_another(governed, pending):
    governed.pass_time(48 * HOUR)
    governed.protocol.hedger.tighten_budgets(Budgets(), sender=governed.owner)

    governed.accept(pending)

    assert governed.protocol.risk.limits().vega_band == wad(0.24)


def test_the_governance_revokes_a_key_at_once(governed):
    """Invariant 41: also where a hostile guardian has taken the owner's own role."""
    hedger, hostile = governed.protocol.hedger, governed.guardian
    hedger.revoke_role(governed.owner, 2, sender=hostile)
    revocation = call(hedger, "revoke_role", hostile, 2)

    governed.submit(revocation)
    governed.accept(revocation)

    assert hedger.roles_of(hostile) == 0


# ---------------------------------------------------------------- targets


def test_a_call_that_reverts_stays_pending_and_gives_its_reason(governed):
    target = fault("HostileTarget")
    poke = call(target, "poke")
    governed.submit(poke)
    governed.pass_time(48 * HOUR)

    with reverts("hostile: not now"):
        governed.accept(poke)
    target.set_answers(True)
    governed.accept(poke)

    assert target.calls() == 1


def test_a_call_cannot_be_made_again_from_within(governed):
    """Attack A7: the owner is a contract that its own call re-enters."""
    owner = fault("HostileTarget")
    owner.set_answers(True)
    governed.do(governed.governance, "set_owner", owner)
    poke = call(owner, "poke")
    owner.forward(*call(governed.governance, "submit", *poke))
    again = call(governed.governance, "accept", *poke)
    owner.then_call(*again)
    governed.pass_time(48 * HOUR)

    with reverts("timelock: not pending"):
        owner.forward(*again)

    assert owner.calls() == 0


def test_a_target_without_code_is_refused(governed):
    call_of_nothing = (governed.protocol.stranger, b"\x01\x02\x03\x04")
    governed.submit(call_of_nothing)
    governed.pass_time(48 * HOUR)

    with reverts("timelock: target has no code"):
        governed.accept(call_of_nothing)


def test_it_takes_no_ether(governed, pending):
    governed.pass_time(48 * HOUR)
    boa.env.set_balance(governed.owner, 10)

    with reverts(None):
        governed.governance.accept(*pending, sender=governed.owner, value=1)

    assert boa.env.execute_code(governed.governance.address, sender=governed.owner, value=1).is_error
