"""What the accounts of all contracts must say together."""

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import boa

from keeper.simulation.chain import addresses
from tests.contracts.protocol.deployment import Deployment


class Ledger(Deployment):
    """The identities between balances and accounts."""

    def overwrite(self, variable: str, value: int) -> None:
        """Change one of the Vault's accounts by hand, for states that nobody's calls lead to."""
        slot = self.vault.compiler_data.storage_layout["storage_layout"][variable]["slot"]
        boa.env.set_storage(self.vault.address, slot, value)

    def ledger_problems(self, holders: Sequence[str]) -> list[str]:
        """The identities of the ledger that do not hold; empty when all is well."""
        asset, vault, book = self.asset, self.vault, self.book
        problems = []
        if asset.balanceOf(vault) < vault.idle():
            problems.append("the Vault's assets are below idle")
        clearing, weth, wbtc = self.clearing, self.market.weth, self.market.wbtc
        if asset.balanceOf(clearing) < clearing.funded() + clearing.escrow(asset):
            problems.append("the ClearingHouse's assets are below funded payouts and makers' escrow")
        if any(token.balanceOf(clearing) < clearing.escrow(token) for token in (weth, wbtc)):
            problems.append("the ClearingHouse's WETH or WBTC are below makers' escrow")
        if asset.balanceOf(book) != 0:
            problems.append("the OptionBook holds assets")
        if asset.balanceOf(self.queue) < self.queue.reserved():
            problems.append("the RedemptionQueue's assets are below what is reserved")
        if vault.balanceOf(self.queue) < self.queue.total_pending():
            problems.append("the RedemptionQueue's shares are below those that wait")
        if sum(vault.balanceOf(holder) for holder in holders) != vault.totalSupply():
            problems.append("balances do not add up to the supply")
        for venue in self.venues:
            if asset.balanceOf(venue) != 0:
                problems.append("a venue holds assets between calls")
        for owner, token, spender in self.possible_approvals():
            if token.allowance(owner, spender) != 0:
                problems.append(f"{owner} approves {spender}")
        return problems

    def possible_approvals(self) -> Iterator[tuple[Any, Any, str]]:
        """What a contract could have approved: its tokens, to whom it trades with, the Vault and its components."""
        weth, wbtc = self.market.weth, self.market.wbtc
        custodians = [self.vault, self.book, self.clearing]
        eth_pools = [addresses.POOL_USDC_WETH_500, addresses.POOL_USDC_WETH_3000]
        eth_venues, btc_venues = self.venues[:2], self.venues[2:]
        lending = [self.lending] if hasattr(self, "lending") else []
        for owners, tokens, pools in (
            (custodians, [self.asset, weth, *([wbtc] if self.has_btc else [])], []),
            (lending, [self.asset], []),
            (eth_venues, [self.asset, weth], eth_pools),
            (btc_venues, [self.asset, wbtc], [addresses.POOL_WBTC_USDC_3000]),
        ):
            for owner, token, spender in itertools.product(owners, tokens, (addresses.AAVE_POOL, *pools, *custodians)):
                if spender is not owner:
                    yield owner, token, str(getattr(spender, "address", spender))
