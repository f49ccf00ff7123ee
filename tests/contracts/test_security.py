"""docs/security.md and the lists it is made from cannot rot: every guard that is listed stands where it should."""

import pytest

from tests.mutations import guards
from tests.mutations.document import is_up_to_date, naming_tests, rows_in

LISTED = [guard for name in guards.lists() for guard in guards.read(name)]


@pytest.mark.parametrize("guard", LISTED, ids=lambda guard: f"{guard.contract}: {guard.text}"[:80])
def test_a_listed_guard_stands_in_its_contract_and_has_its_test(guard):
    assert guard.problem() is None


def test_every_row_is_named_by_a_test():
    naming = naming_tests()
    assert [row for row in guards.statements() if not naming[row]] == []


def test_every_row_has_a_guard_that_is_removed():
    assert guards.statements().keys() - {row for guard in LISTED for row in guard.rows} == set()


def test_the_document_says_what_the_lists_and_the_docstrings_say():
    assert is_up_to_date(), "docs/security.md is old: run `make mutants DOCUMENT=1`"


def test_no_test_names_a_row_that_there_is_not():
    unknown = naming_tests().keys() - guards.statements().keys() - {"12", "23"}  # the keeper's own
    assert not unknown


@pytest.mark.parametrize(
    ("docstring", "rows"),
    [
        ("Invariant 22.", {"22"}),
        ("Invariants 1, 19 and 47: the ledger.", {"1", "19", "47"}),
        ("Both invariants 9 to 11 hold.", {"9", "10", "11"}),
        ("Attacks A6 and A7.", {"A6", "A7"}),
        ("Attack: none by number; 5 units.", set()),
    ],
)
def test_rows_are_read_from_docstrings(docstring, rows):
    assert rows_in(docstring) == rows
