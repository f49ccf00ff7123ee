"""The protocols on the fork behave as on mainnet: a true fork and the snapshot pass the same tests."""

import pytest
from eth_utils.crypto import keccak

from keeper.simulation.chain import addresses
from keeper.simulation.chain.addresses import AAVE_POOL, MAINNET_CODE_HASHES, SWAP_ROUTER, USDC, WETH

FOREVER = 2**40
UNLIMITED = 2**255
VARIABLE = 2
USDC_UNIT = 10**6
ETHER = 10**18


@pytest.mark.parametrize("address", MAINNET_CODE_HASHES)
def test_code_is_byte_identical_to_mainnet(fork, address):
    code = bytes(fork.w3.eth.get_code(address))

    assert keccak(code).hex() == MAINNET_CODE_HASHES[address]


def test_safe_is_version_1_4_1(fork):
    version = fork.w3.eth.call({"to": addresses.SAFE_CONTRACTS["Safe"], "data": "0xffa1ad74"})

    assert b"1.4.1" in bytes(version)


@pytest.mark.parametrize("sold", [USDC, WETH], ids=["sell USDC", "sell WETH"])
def test_a_swap_returns_what_the_quoter_quoted(fork, market, protocols, send, new_account, sold):
    trader = new_account("trader")
    if sold == USDC:
        bought, token, paid, received = WETH, protocols.usdc, 1_000_000 * USDC_UNIT, protocols.weth
        market.fund_usdc(trader, paid)
    else:
        bought, token, paid, received = USDC, protocols.weth, 300 * ETHER, protocols.usdc
        market.fund_weth(trader, paid)
    send(token.functions.approve(SWAP_ROUTER, UNLIMITED), trader)
    quote = protocols.quoter.functions.quoteExactInputSingle((sold, bought, paid, 500, 0)).call()[0]

    order = (sold, bought, 500, trader, FOREVER, paid, quote, 0)
    send(protocols.router.functions.exactInputSingle(order), trader)

    assert received.functions.balanceOf(trader).call() == quote > 0
    assert token.functions.balanceOf(trader).call() == 0


def test_supply_borrow_repay_withdraw_leaves_nothing_behind(fork, market, protocols, send, new_account):
    borrower, aave = new_account("borrower"), protocols.aave.functions
    supplied, borrowed = 500_000 * USDC_UNIT, 90 * ETHER
    market.fund_usdc(borrower, supplied)
    market.fund_weth(borrower, 1 * ETHER)  # for the interest
    send(protocols.usdc.functions.approve(AAVE_POOL, UNLIMITED), borrower)
    send(protocols.weth.functions.approve(AAVE_POOL, UNLIMITED), borrower)

    send(aave.supply(USDC, supplied, borrower, 0), borrower)
    send(aave.borrow(WETH, borrowed, VARIABLE, 0, borrower), borrower)
    market.warp(30 * 86_400)
    send(aave.repay(WETH, UNLIMITED * 2 - 1, VARIABLE, borrower), borrower)
    send(aave.withdraw(USDC, UNLIMITED * 2 - 1, borrower), borrower)

    collateral, debt, *_ = aave.getUserAccountData(borrower).call()
    assert (collateral, debt) == (0, 0)
    assert protocols.usdc.functions.balanceOf(borrower).call() > supplied  # earned interest
    paid_interest = 91 * ETHER - protocols.weth.functions.balanceOf(borrower).call()
    assert 90 * ETHER < paid_interest + 0 < 91 * ETHER


def test_the_price_moves_the_health_factor(fork, market, protocols, send, new_account):
    borrower, aave = new_account("borrower"), protocols.aave.functions
    market.step(3_000)
    market.fund_usdc(borrower, 100_000 * USDC_UNIT)
    send(protocols.usdc.functions.approve(AAVE_POOL, UNLIMITED), borrower)
    send(aave.supply(USDC, 100_000 * USDC_UNIT, borrower, 0), borrower)
    send(aave.borrow(WETH, 20 * ETHER, VARIABLE, 0, borrower), borrower)
    before = aave.getUserAccountData(borrower).call()[5]

    market.step(3_300)

    after = aave.getUserAccountData(borrower).call()[5]
    assert after / before == pytest.approx(3_000 / 3_300, rel=1e-6)
    assert protocols.aave_oracle.functions.getAssetPrice(WETH).call() == 3_300 * 10**8


def test_an_unhealthy_borrower_can_be_liquidated(fork, market, protocols, send, new_account):
    borrower, liquidator = new_account("borrower"), new_account("liquidator")
    aave = protocols.aave.functions
    market.step(3_000)
    market.fund_usdc(borrower, 100_000 * USDC_UNIT)
    market.fund_weth(liquidator, 50 * ETHER)
    send(protocols.usdc.functions.approve(AAVE_POOL, UNLIMITED), borrower)
    send(protocols.weth.functions.approve(AAVE_POOL, UNLIMITED), liquidator)
    send(aave.supply(USDC, 100_000 * USDC_UNIT, borrower, 0), borrower)
    send(aave.borrow(WETH, 24 * ETHER, VARIABLE, 0, borrower), borrower)
    market.step(3_450)

    send(aave.liquidationCall(USDC, WETH, borrower, UNLIMITED, False), liquidator)

    paid = (50 * ETHER - protocols.weth.functions.balanceOf(liquidator).call()) / ETHER
    received = protocols.usdc.functions.balanceOf(liquidator).call() / USDC_UNIT
    assert paid > 0
    assert 1.0 < received / (paid * 3_450) < 1.05  # bonus 4.5 %, a tenth of it to the protocol
