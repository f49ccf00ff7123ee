"""Token calls that several protocols need to seed themselves."""

from web3.contract import Contract

from keeper.simulation.chain.placement import LocalChain
from keeper.simulation.chain.plan import Token, TokenKind

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


def _contract(chain: LocalChain, address: str) -> Contract:
    return chain.contract(_ABI, address)


def fund(chain: LocalChain, token: Token, account: str, amount: int) -> None:
    """Give `account` new tokens, `amount` in base units: ether is wrapped, others are minted."""
    functions = _contract(chain, token.address).functions
    if token.kind is TokenKind.WETH9:
        chain.impersonate(account)
        chain.rpc.call("anvil_setBalance", account, hex(amount + 10**24))
        chain.transact(functions.deposit(), account, value=amount)
    else:
        chain.transact(functions.mint(account, amount), token.minter)


def approve(chain: LocalChain, asset: str, owner: str, spender: str) -> None:
    chain.transact(_contract(chain, asset).functions.approve(spender, 2**255), owner)
