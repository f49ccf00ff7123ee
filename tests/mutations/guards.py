"""The lists of guards: what is removed from a contract, and the test that must fail then."""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass, replace
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
LISTS = PROJECT / "tests" / "mutations" / "guards"
ROWS = PROJECT / "tests" / "mutations" / "rows.toml"
CONTRACTS = PROJECT / "contracts"


@dataclass(frozen=True)
class Guard:
    """``text``, which stands once in ``contract`` (a path under contracts/), is replaced by ``without``; then ``test``,
    a pytest node id from the project's root, must fail. ``said`` is what it failed with.
    """

    rows: tuple[str, ...]
    contract: str
    text: str
    without: str
    test: str
    said: str

    def problem(self) -> str | None:
        """What is wrong with the entry as it stands, or None."""
        source = CONTRACTS / self.contract
        if not source.is_file():
            return f"contracts/{self.contract} does not exist"
        count = source.read_text().count(self.text)
        if count != 1:
            return f"stands {count} times in contracts/{self.contract}"
        file, _, name = self.test.partition("::")
        if (
            not (PROJECT / file).is_file()
            or f"def {name.rpartition('::')[2].partition('[')[0]}(" not in (PROJECT / file).read_text()
        ):
            return f"no such test: {self.test}"
        unknown = [row for row in self.rows if row not in statements()]
        return f"no such row: {unknown}" if unknown or not self.rows else None

    def mutated(self) -> str:
        """The contract without the guard."""
        return (CONTRACTS / self.contract).read_text().replace(self.text, self.without)


def statements() -> dict[str, str]:
    """What each row says, by its number."""
    tables = tomllib.loads(ROWS.read_text())
    return {**tables["invariants"], **tables["attacks"]}


def lists() -> list[str]:
    return sorted(file.stem for file in LISTS.glob("*.toml"))


def read(name: str) -> list[Guard]:
    """The guards of one list."""
    entries = tomllib.loads((LISTS / f"{name}.toml").read_text()).get("guard", [])
    return [
        Guard(tuple(e["rows"]), e["contract"], e["guard"], e["without"], e["test"], e.get("said", "")) for e in entries
    ]


def record(name: str, guard: Guard, said: str) -> None:
    """Note in a list what the test of a guard said."""
    guards = [replace(other, said=said) if other == guard else other for other in read(name)]
    (LISTS / f"{name}.toml").write_text("\n".join(map(_entry, guards)))


def _entry(guard: Guard) -> str:
    return (
        "[[guard]]\n"
        f"rows = {json.dumps(list(guard.rows))}\n"
        f'contract = "{guard.contract}"\n'
        f"guard = {_quoted(guard.text)}\n"
        f"without = {_quoted(guard.without)}\n"
        f'test = "{guard.test}"\n'
        f"said = {_quoted(guard.said)}\n"
    )


def _quoted(text: str) -> str:
    """A TOML string, literal where that can be."""
    if "\n" in text and "'''" not in text:
        return f"'''\n{text}'''"
    return json.dumps(text, ensure_ascii=False) if "'" in text or "\n" in text else f"'{text}'"
