"""titanoboa's environment on revm, told by traps what of contracts/ each call reaches.

A twin of the chain runs every call a second time on contracts full of traps, one at each point that nothing has reached
yet. A trap costs all the gas of its frame: where gas and output agree, none was met. Where they differ, the traps are
halved and halved again until each is known that alone changes the outcome. So nothing is counted that did not run, and
what is found need not be looked for again: after the first minutes a test takes about twice its time.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch
from uuid import uuid4

import boa
from boa.contracts.vyper.vyper_contract import VyperContract
from boa.util.abi import Address
from vyper.compiler.settings import anchor_settings
from vyper.ir.compile_ir import assembly_to_evm

from tests.contracts.revm import Call, Revm, RevmEnv
from tests.coverage.points import Fact, Point, points_of, trapped

_LEEWAY = 20_000  # gas: setting traps and searching can leave an account or a slot warm that is cold on the chain
_CREATED = Address("0x" + "00" * 20)  # stands for the contract that a creation makes


@dataclass(frozen=True)
class Compiled:
    """The points of a contract and of its constructor."""

    runtime: list[Point]
    constructor: list[Point]

    @property
    def facts(self) -> set[Fact]:
        return {fact for point in [*self.runtime, *self.constructor] for fact in point.facts}


@dataclass(frozen=True)
class _Planted:
    """A contract of the twin: its own code, and what traps it can carry."""

    code: bytes
    points: list[Point]


def compiled(data: Any) -> Compiled:
    """The points of what titanoboa has compiled."""
    with anchor_settings(data.settings):
        _, source_map = assembly_to_evm(data.assembly)
    end = data.bytecode.find(data.bytecode_runtime)
    nodes = {pc: node for pc, node in source_map["pc_raw_ast_map"].items() if pc < end}
    return Compiled(
        points_of(data.bytecode_runtime, data.source_map["pc_raw_ast_map"]), points_of(data.bytecode[:end], nodes)
    )


class _Twins:
    """The chain and its twin, with the names that `RevmEnv` uses."""

    _fast_mode_enabled = False

    def __init__(self, url: str) -> None:
        self.real, self.twin = Revm(url), Revm(url)
        self.patch = self.twin.patch = self.real.patch
        self.found: set[Fact] = set()
        self.planted: dict[Address, _Planted] = {}
        self.replaced: frozenset[Address] = frozenset()  # contracts whose code a test has put another for

    # ------------------------------------------------------------------ calls

    def call(self, *arguments: Any) -> Call:
        done = self.real.call(*arguments)
        self._follow(done, lambda _: self.twin.call(*arguments), [])
        return done

    def create(self, sender: Address, code: bytes, value: int, points: list[Point]) -> tuple[Address, Call]:
        address, done = self.real.create(sender, code, value)
        self._follow(done, lambda traps: self.twin.create(sender, trapped(code, traps), value)[1], points)
        return address, done

    def _follow(self, done: Call, again: Callable[[list[Point]], Call], constructor: list[Point]) -> None:
        """Bring the twin to where the real chain is, and learn what the call has reached."""
        missing = self._missing(constructor)
        before = self.twin.snapshot()
        if _same(done, again(missing)):
            self.twin.evm.commit()
            return
        self.twin.revert(before)
        traps = [(address, point) for address in self.planted for point in self._missing(self.planted[address].points)]
        traps += [(_CREATED, point) for point in missing]
        for address in self.planted:
            self._plant(address, [])
        for point in self._met(done, again, traps):
            self.found |= point.facts
        if not _same(done, again([])):
            raise RuntimeError("the twin differs from the chain without a trap")
        for address in self.planted:
            self._plant(address, self._missing(self.planted[address].points))

    def _missing(self, points: list[Point]) -> list[Point]:
        return [point for point in points if not point.facts <= self.found]

    def _met(
        self, done: Call, again: Callable[[list[Point]], Call], traps: list[tuple[Address, Point]]
    ) -> Iterator[Point]:
        """Those of the traps that alone change the outcome: a call stops at the first, so all need their own run."""
        if not traps or _same(done, self._tried(again, traps)):
            return
        if len(traps) == 1:
            ((address, point),) = traps
            without = self._tried(again, [(address, Point(0, b"", frozenset()))])
            if not _same(without, self._tried(again, traps), leeway=0):
                yield point
            return
        half = len(traps) // 2
        yield from self._met(done, again, traps[:half])
        yield from self._met(done, again, traps[half:])

    def _tried(self, again: Callable[[list[Point]], Call], traps: list[tuple[Address, Point]]) -> Call:
        """What the call does with these traps; the twin is as before."""
        sets: dict[Address, list[Point]] = {}
        for address, point in traps:
            sets.setdefault(address, []).append(point)
        constructor = sets.pop(_CREATED, [])
        for address, points in sets.items():
            self._plant(address, points)
        before = self.twin.snapshot()
        outcome = again(constructor)
        self.twin.revert(before)
        for address in sets:
            self._plant(address, [])
        return outcome

    # ------------------------------------------------------------------ contracts

    def add(self, address: Address, points: list[Point]) -> None:
        """A contract has been created there."""
        self.planted[address] = _Planted(self.get_code(address), points)
        self._plant(address, self._missing(points))

    def _plant(self, address: Address, points: list[Point]) -> None:
        """Set exactly these traps, unless a test has put another code there."""
        if address not in self.replaced:
            self.twin.put_code(address, trapped(self.planted[address].code, points))

    def snapshot(self) -> tuple[Any, ...]:
        return self.real.snapshot(), self.twin.snapshot(), dict(self.planted), self.replaced

    def revert(self, snapshot: tuple[Any, ...]) -> None:
        for address in self.planted:
            if address not in snapshot[2]:  # revm's journal takes back its own code only
                self._plant(address, [])
        real, twin, self.planted, self.replaced = snapshot
        self.real.revert(real)
        self.twin.revert(twin)

    @property
    def evm(self) -> Any:
        """The chain's own, for its last result."""
        return self.real.evm

    # ------------------------------------------------------------------ the same on both: even a look warms an account

    def set_balance(self, address: Address, value: int) -> None:
        self.real.set_balance(address, value)
        self.twin.set_balance(address, value)

    def set_code(self, address: Address, code: bytes) -> None:
        self.real.set_code(address, code)
        self.twin.set_code(address, code)
        if address in self.planted:
            self.replaced |= {address}

    def set_storage(self, address: Address, slot: int, value: int) -> None:
        self.real.set_storage(address, slot, value)
        self.twin.set_storage(address, slot, value)

    def get_balance(self, address: Address) -> int:
        self.twin.get_balance(address)
        return self.real.get_balance(address)

    def get_code(self, address: Address) -> bytes:
        self.twin.get_code(address)
        return self.real.get_code(address)

    def get_storage(self, address: Address, slot: int) -> int:
        self.twin.get_storage(address, slot)
        return self.real.get_storage(address, slot)

    def get_gas_meter_class(self) -> type:
        return self.real.get_gas_meter_class()


def _same(one: Call, other: Call, leeway: int = _LEEWAY) -> bool:
    agrees = (one.is_error, one.output) == (other.is_error, other.output)
    return agrees and abs(one.gas_used - other.gas_used) <= leeway


class CoverageEnv(RevmEnv):
    """`boa.env` for a fork served at `url`; `found` is what has been reached."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.evm = _Twins(url)
        self._points: dict[int, tuple[Any, Compiled]] = {}

    @property
    def found(self) -> set[Fact]:
        return set(self.evm.found)

    def _of(self, contract: Any) -> Compiled:
        data = contract.compiler_data
        if id(data) not in self._points:
            self._points[id(data)] = (data, compiled(data))  # holds the data, or another could get its id
        return self._points[id(data)][1]

    def deploy(
        self,
        sender: Any = None,
        gas: int | None = None,
        value: int = 0,
        bytecode: bytes = b"",
        contract: Any = None,
        **unused: Any,
    ) -> tuple[Address, Call]:
        points = self._of(contract).constructor if isinstance(contract, VyperContract) else []
        created: tuple[Address, Call] = self.evm.create(self._get_sender(sender), bytecode, value, points)
        return created

    def register_contract(self, address: Any, obj: Any) -> None:
        super().register_contract(address, obj)
        if isinstance(obj, VyperContract):
            self.evm.add(Address(address), self._of(obj).runtime)


@contextlib.contextmanager
def fork(url: str, folder: Path) -> Iterator[CoverageEnv]:
    """Inside this block `boa.env` is a fork of `url` in revm; what was reached is then written to the folder."""
    env = CoverageEnv(url)
    with boa.swap_env(env), patch.object(VyperContract, "_deployment_source_map", None):
        yield env
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{uuid4()}.json").write_text(json.dumps(sorted(env.found)))
