"""Token calls that several protocols need to seed themselves."""

from web3.contract import Contract

from keeper.simulation.addresses import USDC, USDC_MINTER, WBTC, WBTC_OWNER, WETH
from keeper.simulation.placement import LocalChain

_ABI = [
    {
        "type": "function",
        "name": name,
        "inputs": [{"name": f"_{index}", "type": kind} for index, kind in enumerate(kinds)],
        "outputs": [],
        "stateMutability": "payable",
    }
    for name, kinds in (
        ("mint", ("address", "uint256")),
        ("approve", ("address", "uint256")),
        ("deposit", ()),
    )
]


def token(chain: LocalChain, address: str) -> Contract:
    return chain.contract(_ABI, address)


def fund(chain: LocalChain, asset: str, account: str, amount: int) -> None:
    """Mint `amount` base units of USDC, WBTC or WETH to `account`."""
    minters = {USDC: USDC_MINTER, WBTC: WBTC_OWNER}
    if asset in minters:
        chain.transact(token(chain, asset).functions.mint(account, amount), minters[asset])
    elif asset == WETH:
        chain.impersonate(account)
        chain.rpc.call("anvil_setBalance", account, hex(amount + 10**24))
        chain.transact(token(chain, WETH).functions.deposit(), account, value=amount)
    else:
        raise ValueError(f"the snapshot can't mint {asset}")


def approve(chain: LocalChain, asset: str, owner: str, spender: str) -> None:
    chain.transact(token(chain, asset).functions.approve(spender, 2**255), owner)
