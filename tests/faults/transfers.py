"""Transactions that need no contract: from anvil's first account to itself."""

from eth_account import Account

from tests.faults.rig import Chain

# The first key of anvil's own mnemonic, which everybody knows.
RICH = Account.from_key("0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80")
_FEE = 100 * 10**9


def a_transfer(chain: Chain, nonce: int | None = None, fee: int = _FEE) -> bytes:
    """Signed; with the account's next nonce unless another is asked for."""
    used = int(chain.rpc.call("eth_getTransactionCount", RICH.address, "latest"), 16)
    return bytes(
        RICH.sign_transaction(
            {
                "type": 2,
                "chainId": 1,
                "nonce": used if nonce is None else nonce,
                "to": RICH.address,
                "value": 0,
                "gas": 21_000,
                "maxFeePerGas": fee,
                "maxPriorityFeePerGas": fee // 10,
            }
        ).raw_transaction
    )
