"""The protocol keeps its promises in every state that a scenario can reach."""

from dataclasses import fields

import pytest

from .checker import Scenario, explore
from .scenarios import MUTANTS, SCENARIOS
from .words import Rules
from .world import Limits


def deeper(scenario: Scenario, depth: int) -> Scenario:
    faults = scenario.faults._replace(changes=scenario.faults.changes + depth - 1)
    return scenario._replace(faults=faults, in_flight=scenario.in_flight + depth - 1)


@pytest.mark.timeout(0)
@pytest.mark.parametrize("name", SCENARIOS)
def test_no_state_breaks_an_invariant(name: str, model_depth: int) -> None:
    report = explore(deeper(SCENARIOS[name], model_depth), Limits())
    assert report.found is None, str(report.found)


@pytest.mark.parametrize("rule", MUTANTS)
def test_a_protocol_without_the_rule_is_caught(rule: str) -> None:
    mutant = Rules(**{rule: False})
    report = explore(SCENARIOS[MUTANTS[rule]], Limits(rules=mutant))
    assert report.found is not None
    assert report.found.trace


def test_every_rule_has_its_mutant() -> None:
    assert {field.name for field in fields(Rules)} == set(MUTANTS)
