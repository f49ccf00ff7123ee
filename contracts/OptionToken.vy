# pragma version 0.4.3
# pragma optimize gas
"""
@title OptionToken
@license AGPL-3.0
@notice Long options as ERC-1155 tokens: the identifier is the series', 1e18 is one unit of the underlying.

        Supply. Only the OptionBook mints. It burns what the vault buys back, the ClearingHouse what is claimed: the supply of a
        series is what the vault has written and not bought back, and nobody has claimed.

        Owner. Nobody: the two contracts are named for good, and there is no other role.
@custom:kill Nothing to stop: tokens can be transferred and claimed for ever.
"""

from snekmate.auth import ownable
from snekmate.tokens import erc1155

initializes: ownable
initializes: erc1155[ownable := ownable]

exports: (
    erc1155.supportsInterface,
    erc1155.balanceOf,
    erc1155.balanceOfBatch,
    erc1155.isApprovedForAll,
    erc1155.setApprovalForAll,
    erc1155.safeTransferFrom,
    erc1155.safeBatchTransferFrom,
    erc1155.total_supply,
    erc1155.exists,
    erc1155.uri,
)


OPTION_BOOK: public(immutable(address))
CLEARING_HOUSE: public(immutable(address))


@deploy
def __init__(option_book: address, clearing_house: address, base_uri: String[80]):
    ownable.__init__()
    ownable._transfer_ownership(empty(address))
    erc1155.__init__(base_uri)
    OPTION_BOOK = option_book
    CLEARING_HOUSE = clearing_house


@external
def mint(to: address, id: uint256, amount: uint256):
    """
    @notice OptionBook only. Calls the receiver's ERC-1155 hook.
    """
    assert msg.sender == OPTION_BOOK, "token: only option book"
    erc1155._safe_mint(to, id, amount, b"")


@external
def burn(owner: address, id: uint256, amount: uint256):
    """
    @notice OptionBook and ClearingHouse only.
    """
    assert msg.sender in [OPTION_BOOK, CLEARING_HOUSE], "token: only option book and clearing house"
    erc1155._burn(owner, id, amount)
