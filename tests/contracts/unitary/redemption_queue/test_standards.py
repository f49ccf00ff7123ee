"""RedemptionQueue as the standards want it: ERC-7540 for redemption only, ERC-7575, ERC-165."""

import pytest
from eth_utils.crypto import keccak

from tests.contracts.chain import USDC, WAD, reverts

REDEEM = ("requestRedeem(uint256,address,address)",)
REDEEM += ("pendingRedeemRequest(uint256,address)", "claimableRedeemRequest(uint256,address)")
OPERATOR = ("setOperator(address,bool)", "isOperator(address,address)")
ENTRY = tuple(
    f"{name}({arguments})"
    for names, arguments in (
        ("asset share totalAssets", ""),
        ("convertToShares convertToAssets previewDeposit previewMint previewWithdraw previewRedeem", "uint256"),
        ("maxDeposit maxMint maxWithdraw maxRedeem", "address"),
        ("deposit mint", "uint256,address"),
        ("withdraw redeem", "uint256,address,address"),
    )
    for name in names.split()
)


def interface_id(*functions: str) -> bytes:
    """ERC-165: the exclusive or of the selectors."""
    total = 0
    for function in functions:
        total ^= int.from_bytes(keccak(text=function)[:4])
    return total.to_bytes(4)


@pytest.mark.parametrize(
    ("functions", "published"),
    [
        (("supportsInterface(bytes4)",), "01ffc9a7"),
        (REDEEM, "620ee8e4"),
        (OPERATOR, "e3bc4e65"),
        (ENTRY, "2f0a18c5"),
    ],
)
def test_supports_what_it_implements(protocol, functions, published):
    selectors = {keccak(text=function)[:4] for function in functions}

    assert interface_id(*functions).hex() == published
    assert protocol.queue.supportsInterface(bytes.fromhex(published))
    code = protocol.queue.compiler_data.bytecode_runtime
    assert all(selector in code for selector in selectors)


@pytest.mark.parametrize("other", ["ffffffff", "ce3bbe50", "00000000"])
def test_supports_nothing_else(protocol, other):
    assert not protocol.queue.supportsInterface(bytes.fromhex(other))


def test_is_an_entry_to_the_vault(funded):
    queue, vault = funded.queue, funded.vault

    assert (queue.share(), queue.asset()) == (vault.address, vault.asset())
    assert queue.totalAssets() == vault.totalAssets()
    assert queue.convertToShares(USDC) == vault.convertToShares(USDC)
    assert queue.convertToAssets(WAD) == vault.convertToAssets(WAD)


def test_deposits_are_made_in_the_vault(funded):
    queue, who = funded.queue, funded.depositor

    assert queue.maxDeposit(who) == queue.maxMint(who) == 0
    for call in (queue.previewDeposit, queue.previewMint):
        with reverts("queue: deposit in the vault"):
            call(WAD)
    for call in (queue.deposit, queue.mint):
        with reverts("queue: deposit in the vault"):
            call(WAD, who)


def test_previews_of_an_asynchronous_redemption_revert(funded):
    for call in (funded.queue.previewRedeem, funded.queue.previewWithdraw):
        with reverts("queue: no price before settlement"):
            call(WAD)
