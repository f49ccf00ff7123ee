"""OptionToken: long options as ERC-1155, minted by the OptionBook alone, burned by it and the ClearingHouse."""

import pytest

from tests.contracts.chain import WAD, events, reverts


@pytest.mark.parametrize("role", ["governor", "keeper", "taker", "clearing"])
def test_only_the_option_book_mints(funded, sold, role):
    who = getattr(funded, role)

    with reverts("token: only option book"):
        funded.token.mint(funded.taker, sold, WAD, sender=getattr(who, "address", who))


@pytest.mark.parametrize("role", ["governor", "keeper", "taker"])
def test_only_the_option_book_and_the_clearing_house_burn(funded, sold, role):
    with reverts("token: only option book and clearing house"):
        funded.token.burn(funded.taker, sold, WAD, sender=getattr(funded, role))


def test_supply_is_what_the_vault_has_written(funded, sold):
    funded.buy_back(sold, 3 * WAD)

    assert funded.token.total_supply(sold) == funded.book.written(sold).vault == 7 * WAD
    assert funded.token.exists(sold)


def test_nobody_owns_the_contract(protocol):
    assert not hasattr(protocol.token, "transfer_ownership")
    assert not hasattr(protocol.token, "set_minter")
    assert protocol.token.OPTION_BOOK() == protocol.book.address
    assert protocol.token.CLEARING_HOUSE() == protocol.clearing.address


def test_is_an_erc1155(protocol):
    assert protocol.token.supportsInterface(bytes.fromhex("d9b67a26"))
    assert protocol.token.uri(7) == "https://example.org/series/{id}7"


def test_holders_transfer(funded, sold):
    funded.token.safeTransferFrom(funded.taker, funded.stranger, sold, 4 * WAD, b"", sender=funded.taker)

    (event,) = events(funded.token, "TransferSingle")
    assert event[-1] == 4 * WAD
    assert funded.token.balanceOf(funded.stranger, sold) == 4 * WAD


def test_holders_transfer_several_series_at_once(funded, sold):
    funded.token.safeBatchTransferFrom(funded.taker, funded.stranger, [sold], [WAD], b"", sender=funded.taker)

    assert funded.token.balanceOfBatch([funded.taker, funded.stranger], [sold, sold]) == [9 * WAD, WAD]


def test_others_need_an_approval(funded, sold):
    with reverts("erc1155: caller is not token owner or approved"):
        funded.token.safeTransferFrom(funded.taker, funded.stranger, sold, WAD, b"", sender=funded.stranger)
    funded.token.setApprovalForAll(funded.stranger, True, sender=funded.taker)

    funded.token.safeTransferFrom(funded.taker, funded.stranger, sold, WAD, b"", sender=funded.stranger)

    assert funded.token.isApprovedForAll(funded.taker, funded.stranger)
    assert funded.token.balanceOf(funded.stranger, sold) == WAD
