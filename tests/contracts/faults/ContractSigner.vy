# pragma version 0.4.3
"""
@title ContractSigner
@notice An ERC-1271 quoter that approves hashes, or lies: it says yes with a wrong value, or peeks at the Vault first.
"""

_MAGIC: constant(bytes4) = 0x1626ba7e

approved: public(HashMap[bytes32, bool])
answer: public(bytes4)
peeks_at: public(address)
peeks_with: public(bytes4)


@deploy
def __init__():
    self.answer = _MAGIC


@external
def approve_hash(hash: bytes32):
    self.approved[hash] = True


@external
def lie():
    """
    @notice Answer with something that is not the magic value.
    """
    self.answer = 0xdeadbeef


@external
def peek(target: address, selector: bytes4):
    """
    @notice Only sign when this view of `target` can be read.
    """
    self.peeks_at = target
    self.peeks_with = selector


@external
@view
def isValidSignature(hash: bytes32, signature: Bytes[65]) -> bytes4:
    if self.peeks_at != empty(address):
        seen: Bytes[32] = raw_call(
            self.peeks_at, slice(convert(self.peeks_with, bytes32), 0, 4), max_outsize=32, is_static_call=True
        )
    return self.answer if self.approved[hash] else empty(bytes4)
