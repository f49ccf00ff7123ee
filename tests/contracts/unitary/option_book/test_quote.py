"""The quotes that OptionBook.fill accepts, hash_quote, raise_nonce_floor, cancel_nonces."""

import boa
import pytest
from eth_account import Account

from tests.contracts.chain import USDC, WAD, events, reverts
from tests.contracts.protocol import QUOTER, fault

_CURVE_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


@pytest.fixture
def rich(funded):
    funded.fund(funded.taker, 100_000 * USDC, funded.book)
    return funded


@pytest.fixture
def signer(rich):
    """A quoter that is a contract (ERC-1271)."""
    contract = fault("ContractSigner")
    rich.book.grant_role(contract, QUOTER, sender=rich.governor)
    return contract


def test_hash_is_the_eip712_digest_of_the_domain(rich, series):
    """The signature library of the test computes the digest by itself: recovering the signer proves both agree."""
    quote = rich.quote(series)

    recovered = Account._recover_hash(rich.book.hash_quote(quote), signature=rich.sign(quote))

    assert recovered == rich.quoter.address


def test_domain_names_the_book_and_the_chain(rich):
    _, name, version, chain_id, verifier, _, _ = rich.book.eip712Domain()

    assert (name, version) == ("Keel OptionBook", "1")
    assert (chain_id, verifier) == (boa.env.evm.patch.chain_id, rich.book.address)


def test_a_quote_is_good_in_its_last_second(rich, series):
    quote = rich.quote(series)
    rich.market.pass_time(60)

    rich.fill(quote)

    assert rich.token.balanceOf(rich.taker, series) == WAD


def test_an_expired_quote_is_refused(rich, series):
    quote = rich.quote(series)
    rich.market.pass_time(61)

    with reverts("quote: expired"):
        rich.fill(quote)


def test_a_quote_that_lives_longer_than_a_minute_is_refused(rich, series):
    with reverts("quote: lives too long"):
        rich.fill(rich.quote(series, deadline=rich.market.now + 61))


def test_a_quote_for_one_taker_is_refused_to_another(rich, series):
    quote = rich.quote(series, taker=rich.stranger)

    with reverts("quote: for another taker"):
        rich.fill(quote)
    rich.fill(rich.quote(series, taker=rich.taker))


def test_a_signer_without_the_role_is_refused(rich, series):
    impostor = Account.from_key(b"\x09" * 32)
    quote = rich.quote(series)

    with reverts("quote: signer is not a quoter"):
        rich.fill(quote, signer=impostor.address, signature=rich.sign(quote, impostor))


def test_a_revoked_quoter_is_refused(rich, series):
    quote = rich.quote(series)
    rich.book.revoke_role(rich.quoter.address, QUOTER, sender=rich.guardian)

    with reverts("quote: signer is not a quoter"):
        rich.fill(quote)


def test_a_signature_of_somebody_else_is_refused(rich, series):
    quote = rich.quote(series)

    with reverts("quote: signature"):
        rich.fill(quote, signature=rich.sign(quote, Account.from_key(b"\x09" * 32)))


@pytest.mark.parametrize(
    "change",
    [
        {"price": 10**15},
        {"size": 2 * WAD},
        {"vault_sells": False},
        {"nonce": 1},
        {"reference_spot": 1},
        {"spot_tolerance": 1},
    ],
)
def test_a_changed_quote_is_refused(rich, series, change):
    quote = rich.quote(series)

    with reverts("quote: signature"):
        rich.fill(quote._replace(**change), size=WAD, signature=rich.sign(quote))


@pytest.mark.parametrize(
    "domain",
    [
        {"chainId": 5},
        {"verifyingContract": "0x" + "11" * 20},
        {"name": "Another OptionBook"},
        {"version": "2"},
    ],
)
def test_a_signature_for_another_chain_or_contract_is_refused(rich, series, domain):
    """Attack A17: replay across chain and contract."""
    quote = rich.quote(series)

    with reverts("quote: signature"):
        rich.fill(quote, signature=rich.sign(quote, **domain))


def test_a_malleable_signature_is_refused(rich, series):
    """Attack A17: s mirrored in the curve order recovers the same signer: one quote would have a second signature."""
    quote = rich.quote(series)
    signature = rich.sign(quote)
    s = int.from_bytes(signature[32:64])
    mirrored = signature[:32] + (_CURVE_ORDER - s).to_bytes(32) + bytes([55 - signature[64]])

    with reverts("ecdsa: invalid signature `s` value"):
        rich.fill(quote, signature=mirrored)


@pytest.mark.parametrize(
    ("signature", "reason"),
    [
        (b"", "quote: signature"),
        (b"\x00" * 65, "ecdsa: invalid signature"),
        (b"\xff" * 65, "ecdsa: invalid signature `s` value"),
    ],
    ids=["empty", "zeros", "ones"],
)
def test_garbage_is_refused(rich, series, signature, reason):
    with reverts(reason):
        rich.fill(rich.quote(series), signature=signature)


def test_raising_the_floor_cancels_older_quotes(rich, series):
    older, newer = rich.quote(series, nonce=6), rich.quote(series, nonce=7)

    rich.book.raise_nonce_floor(7, sender=rich.quoter.address)

    (event,) = events(rich.book, "NonceFloorRaised")
    assert (event.signer, event.nonce_floor) == (rich.quoter.address, 7)
    with reverts("quote: cancelled"):
        rich.fill(older)
    rich.fill(newer)


def test_the_floor_only_rises(rich):
    rich.book.raise_nonce_floor(7, sender=rich.quoter.address)

    for nonce in (0, 7):
        with reverts("quote: floor only rises"):
            rich.book.raise_nonce_floor(nonce, sender=rich.quoter.address)


def test_anyone_elses_floor_does_not_matter(rich, series):
    rich.book.raise_nonce_floor(7, sender=rich.stranger)

    rich.fill(rich.quote(series, nonce=0))

    assert rich.token.balanceOf(rich.taker, series) == WAD


@pytest.mark.parametrize(("first", "last"), [(7, 7), (255, 256), (300, 900), (0, 64 * 256 - 1)])
def test_a_range_of_nonces_is_cancelled_whole_and_nothing_beside_it(rich, series, first, last):
    """Invariant 35: a cancelled nonce never fills."""
    rich.book.cancel_nonces(first, last, sender=rich.quoter.address)

    (event,) = events(rich.book, "NoncesCancelled")
    assert (event.signer, event.first, event.last) == (rich.quoter.address, first, last)
    for nonce in {first, (first + last) // 2, last}:
        assert rich.book.is_cancelled(rich.quoter.address, nonce)
        with reverts("quote: cancelled"):
            rich.fill(rich.quote(series, nonce=nonce))
    for nonce in {max(first - 1, 0), last + 1} - {first}:
        assert not rich.book.is_cancelled(rich.quoter.address, nonce)
        rich.fill(rich.quote(series, nonce=nonce))


def test_ranges_add_up(rich, series):
    for first, last in ((10, 20), (15, 30), (1_000, 1_000)):
        rich.book.cancel_nonces(first, last, sender=rich.quoter.address)

    cancelled = [nonce for nonce in range(1_100) if rich.book.is_cancelled(rich.quoter.address, nonce)]
    assert cancelled == [*range(10, 31), 1_000]


@pytest.mark.parametrize(("first", "last"), [(2, 1), (0, 64 * 256), (2**256 - 1, 0)])
def test_a_range_that_is_none_or_too_long_is_refused(rich, first, last):
    with reverts("quote: range of nonces"):
        rich.book.cancel_nonces(first, last, sender=rich.quoter.address)


def test_the_last_nonces_can_be_cancelled(rich):
    rich.book.cancel_nonces(2**256 - 2, 2**256 - 1, sender=rich.quoter.address)

    assert rich.book.is_cancelled(rich.quoter.address, 2**256 - 1)
    assert not rich.book.is_cancelled(rich.quoter.address, 2**256 - 3)


def test_anyone_elses_range_does_not_matter(rich, series):
    rich.book.cancel_nonces(0, 255, sender=rich.stranger)

    rich.fill(rich.quote(series, nonce=3))

    assert rich.token.balanceOf(rich.taker, series) == WAD


def test_a_partly_filled_quote_can_be_cancelled(rich, series):
    quote = rich.quote(series, size=3 * WAD, nonce=9)
    rich.fill(quote, WAD)
    rich.book.cancel_nonces(9, 9, sender=rich.quoter.address)

    with reverts("quote: cancelled"):
        rich.fill(quote, WAD)
    assert rich.book.filled(rich.book.hash_quote(quote)) == WAD


def test_a_signature_used_up_cannot_be_replayed(rich, series):
    """Attack A17: the same quote and signature again, by the same taker and by another."""
    quote = rich.quote(series)
    rich.fill(quote)
    rich.fund(rich.stranger, 100_000 * USDC, rich.book)

    for taker in (rich.taker, rich.stranger):
        with reverts("quote: size exceeded"):
            rich.fill(quote, taker=taker)


# ---------------------------------------------------------------- ERC-1271


def test_a_contract_that_approves_the_hash_is_a_good_signer(rich, series, signer):
    quote = rich.quote(series)
    signer.approve_hash(rich.book.hash_quote(quote))

    rich.fill(quote, signer=signer.address, signature=b"")

    assert rich.token.balanceOf(rich.taker, series) == WAD


def test_a_contract_that_does_not_is_refused(rich, series, signer):
    with reverts("quote: signature"):
        rich.fill(rich.quote(series), signer=signer.address, signature=b"")


def test_a_contract_that_lies_is_refused(rich, series, signer):
    """Attack A18: an ERC-1271 liar answers with something that is not the magic value."""
    quote = rich.quote(series)
    signer.approve_hash(rich.book.hash_quote(quote))
    signer.lie()

    with reverts("quote: signature"):
        rich.fill(quote, signer=signer.address, signature=b"")


def test_a_contract_whose_role_is_revoked_is_refused(rich, series, signer):
    """Attack A18: it approves still, and has no say any more."""
    quote = rich.quote(series)
    signer.approve_hash(rich.book.hash_quote(quote))
    rich.book.revoke_role(signer, QUOTER, sender=rich.guardian)

    with reverts("quote: signer is not a quoter"):
        rich.fill(quote, signer=signer.address, signature=b"")


def test_a_contract_cannot_speak_for_a_key(rich, series, signer):
    """Attack A18: the signature of the key counts for the key alone, the approval of the contract for itself."""
    quote = rich.quote(series)
    signer.approve_hash(rich.book.hash_quote(quote))

    with reverts("quote: signature"):
        rich.fill(quote, signer=rich.quoter.address, signature=b"")


def test_a_contract_without_code_to_answer_is_refused(rich, series):
    rich.book.grant_role(rich.token, QUOTER, sender=rich.governor)

    with reverts("quote: signature"):
        rich.fill(rich.quote(series), signer=rich.token.address, signature=b"")


@pytest.mark.parametrize("view", ["totalAssets()", "assessment()"])
def test_a_contract_signer_cannot_read_the_vault_in_the_middle_of_a_fill(rich, series, signer, view):
    """Attack A6. The signer refuses unless it can read; so the fill fails."""
    quote = rich.quote(series)
    signer.approve_hash(rich.book.hash_quote(quote))
    signer.peek(rich.vault, boa.eval(f'method_id("{view}", output_type=bytes4)'))

    with reverts("quote: signature"):
        rich.fill(quote, signer=signer.address, signature=b"")
