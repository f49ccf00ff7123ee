"""Calls are encoded by type, and whatever a revert says is made fit to read."""

from importlib import import_module

import pytest
from eth_abi.abi import encode
from eth_abi.exceptions import DecodingError
from eth_utils.crypto import keccak
from hypothesis import given
from hypothesis import strategies as st

from keeper.chain.abi import function, revert_reason, signature


def error(text):
    return keccak(text="Error(string)")[:4] + encode(["string"], [text])


@pytest.mark.parametrize(
    ("text", "inputs", "outputs"),
    [
        ("decimals()(uint8)", (), ("uint8",)),
        (
            "f(uint256,(address,bytes)[])((bool,bytes)[],int24)",
            ("uint256", "(address,bytes)[]"),
            ("(bool,bytes)[]", "int24"),
        ),
        ("g((address,bool,bytes)[])()", ("(address,bool,bytes)[]",), ()),
    ],
)
def test_a_signature_is_taken_apart(text, inputs, outputs):
    parsed = signature(text)

    assert (parsed.inputs, parsed.outputs) == (inputs, outputs)
    assert parsed.selector == keccak(text=text[: text.index(")(") + 1] if inputs != () else "decimals()")[:4]


def test_a_contracts_function_has_its_structs_spelled_out():
    rebalance = function("Hedger", "rebalance")

    assert rebalance.inputs == ("(uint256,uint256,int256,uint256)[]", "uint256", "uint256", "bytes32")
    with pytest.raises(KeyError, match="Vault has no function rob"):
        function("Vault", "rob")


def test_one_result_is_a_value_and_several_are_a_tuple():
    import_module("ape.utils.abi")  # it makes eth_abi read an empty answer as zero
    assert signature("f()(uint256)").decode(encode(["uint256"], [7])) == 7
    assert signature("f()(uint256,bool)").decode(encode(["uint256", "bool"], [7, True])) == (7, True)
    with pytest.raises(DecodingError):
        signature("f()(uint256)").decode(b"")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (error("margin: below initial"), "margin: below initial"),
        (error("red\x1b[31m\nalert"), "red?[31m?alert"),
        (error("x" * 10_000), "x" * 200 + "..."),
        (keccak(text="Panic(uint256)")[:4] + encode(["uint256"], [0x11]), "panic 0x11"),
        (b"", "reverted without a reason"),
        (b"\xde\xad\xbe\xef", "reverted with 0xdeadbeef"),
        (error("cut")[:20], "reverted with 0x" + error("cut")[:20].hex()),
        (keccak(text="Error(string)")[:4] + encode(["bytes"], [b"\xff\xfe"]), None),
    ],
)
def test_a_revert_is_bounded_and_printable(data, reason):
    """Fault 20."""
    found = revert_reason(data)

    assert found.isprintable()
    assert reason is None or found == reason


@given(
    st.binary(max_size=300), st.sampled_from([b"", keccak(text="Error(string)")[:4], keccak(text="Panic(uint256)")[:4]])
)
def test_no_revert_breaks_the_reader(data, selector):
    found = revert_reason(selector + data)

    assert found.isprintable()
    assert len(found) <= 203
