"""Every rule of the rule book has its cases, and every case a rule."""

from __future__ import annotations

import pytest

from tests.plan.golden import check_golden
from tests.semantics.page import PAGE, cases_by_rule, collect, named_rules, read_rules, render


@pytest.fixture(scope="module")
def cases() -> list[str]:
    return collect()


def test_every_case_names_rules_that_there_are(cases: list[str]) -> None:
    cases_by_rule(read_rules(), cases)


def test_every_rule_has_a_case_or_a_reason_why_it_has_none(cases: list[str]) -> None:
    found = cases_by_rule(read_rules(), cases)
    assert [rule.id for rule in read_rules() if not found[rule.id] and rule.deviation is None] == []


def test_the_page_is_what_it_would_be_today(cases: list[str]) -> None:
    """After a change: `make rules`; or, without running the cases, `UPDATE_GOLDEN=1` and this test."""
    check_golden(PAGE, render(read_rules(), cases_by_rule(read_rules(), cases)))


def test_no_rule_stands_there_twice() -> None:
    ids = [rule.id for rule in read_rules()]
    assert sorted(set(ids)) == sorted(ids)


@pytest.mark.parametrize(
    ("case", "named"),
    [
        ("test_x.py::test_y[a4.8-b2-testOrdering: a pair]", {"a4.8", "b2"}),
        ("test_x.py::test_y[None-a10.5-decode]", {"a10.5"}),
        ("test_x.py::test_y[declared (a8.5)]", {"a8.5"}),
        ("test_x.py::test_a8_6_equal_keys[1]", {"a8.6"}),
        ("test_x.py::test_a8_5_b6_4_a_topic", {"a8.5", "b6.4"}),
        ("test_x.py::test_a_topic[k:a1@2]", set()),
        ("test_b1.py::test_a_topic[1-a]", set()),
        ("test_x.py::test_y[c-a1.3-deviation7-and-remembers]", {"a1.3", "deviation7"}),
        ("test_x.py::test_a2_11_deviation5_a_new_aggregate", {"a2.11", "deviation5"}),
    ],
)
def test_which_rules_a_case_names(case: str, named: set[str]) -> None:
    assert named_rules(case) == named


def test_a_case_of_no_rule_is_told_of() -> None:
    with pytest.raises(ValueError, match=r"there is no rule a99.1"):
        cases_by_rule(read_rules(), ["test_x.py::test_y[a99.1-new]"])
    with pytest.raises(ValueError, match=r"no row of b1 has this case"):
        cases_by_rule(read_rules(), ["test_x.py::test_y[b1-something]"])
