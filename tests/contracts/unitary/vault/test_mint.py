"""Vault.mint: pay for exactly so many shares at `nav_ask`."""

from tests.contracts.chain import USDC, WAD, events, reverts


def test_takes_what_the_preview_says(hedged):
    hedged.fund(hedged.stranger, 100_000 * USDC)
    preview = hedged.vault.previewMint(12_345 * WAD + 1)

    assets = hedged.vault.mint(12_345 * WAD + 1, hedged.stranger, sender=hedged.stranger)

    assert assets == preview
    assert hedged.vault.balanceOf(hedged.stranger) == 12_345 * WAD + 1
    assert hedged.market.usdc.balanceOf(hedged.stranger) == 100_000 * USDC - assets


def test_emits_deposit(protocol):
    protocol.fund(protocol.depositor, 500 * USDC)

    protocol.vault.mint(400 * WAD, protocol.taker, sender=protocol.depositor)

    (event,) = events(protocol.vault, "Deposit")
    assert (event.sender, event.owner) == (protocol.depositor, protocol.taker)
    assert (event.assets, event.shares) == (400 * USDC, 400 * WAD)


def test_rounds_the_price_up(hedged):
    hedged.fund(hedged.stranger, 100_000 * USDC)
    nav, supply = hedged.vault.assessment().nav_ask, hedged.vault.totalSupply() + 10**12

    assets = hedged.vault.mint(777 * WAD + 7, hedged.stranger, sender=hedged.stranger)

    assert assets * supply >= (777 * WAD + 7) * nav // 10**12


def test_nothing_is_refused(protocol):
    with reverts("vault: zero shares"):
        protocol.vault.mint(0, protocol.depositor, sender=protocol.depositor)


def test_refused_while_reduce_only(funded):
    funded.breaker.set_reduce_only(True, sender=funded.guardian)

    with reverts("vault: reduce-only"):
        funded.vault.mint(WAD, funded.depositor, sender=funded.depositor)


def test_below_the_minimum_deposit_is_refused(funded):
    funded.fund(funded.stranger, 1_000 * USDC)

    with reverts("vault: below minimum deposit"):
        funded.vault.mint(WAD, funded.stranger, sender=funded.stranger)
