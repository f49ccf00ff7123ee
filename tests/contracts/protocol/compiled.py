"""The contracts, compiled once per session: those under test, and those that misbehave."""

import contextlib
import functools
import gc
from collections.abc import Iterator
from typing import Any

import boa


@contextlib.contextmanager
def _without_collector() -> Iterator[None]:
    """A compiled contract is some 100,000 objects that live as long as the session. Walking them again and again costs
    ten times what reading them from titanoboa's cache does: the garbage collector does not see them.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


@functools.cache
def load(name: str) -> Any:
    """The deployer of a contract by its path under contracts/, compiled as in production."""
    with _without_collector():
        return boa.load_partial(f"contracts/{name}.vy", compiler_args={"evm_version": "cancun"})


@functools.cache
def _fault_deployer(name: str) -> Any:
    with _without_collector():
        return boa.load_partial(f"tests/contracts/faults/{name}.vy")


def fault(name: str, *args: Any) -> Any:
    """Deploy one of the misbehaving contracts of tests/contracts/faults."""
    return _fault_deployer(name).deploy(*args)


def replace_code(address: str, name: str, *args: Any) -> None:
    """Put a misbehaving contract's code where a real contract is."""
    boa.env.set_code(address, boa.env.get_code(fault(name, *args).address))
