"""Breadth-first search over every state within bounds; the first violation comes with its trace."""

from collections import deque
from dataclasses import dataclass
from typing import NamedTuple

from .customer import Customer
from .invariants import heal_violations, step_violations, violations
from .provider import Provider
from .words import Message, Request
from .world import Faults, Limits, State, World, steps


@dataclass(frozen=True)
class Found:
    """A way from the start to a violation."""

    violation: str
    trace: tuple[str, ...]

    def __str__(self) -> str:
        return "\n".join((self.violation, *(f"  {n}. {s}" for n, s in enumerate(self.trace, 1))))


@dataclass(frozen=True)
class Report:
    states: int
    found: Found | None


class Scenario(NamedTuple):
    """A start and what may happen after it."""

    faults: Faults
    in_flight: int = 2
    license: int = 2
    seats: int = 1


def explore(scenario: Scenario, limits: Limits) -> Report:
    """Visit every state of the scenario, or as many as it takes to find a violation."""
    limits = limits._replace(in_flight=scenario.in_flight, license=scenario.license)
    start = State(World((Customer(),), Provider(limit=scenario.seats)), scenario.faults)
    search = _Search(start, limits)
    while search.queue and search.found is None:
        search.expand(search.queue.popleft())
    return Report(len(search.parents), search.found)


class _Search:
    def __init__(self, start: State, limits: Limits) -> None:
        self.limits = limits
        self.queue = deque([start])
        self.parents: dict[State, tuple[State | None, str]] = {start: (None, "")}
        self.healed: set[tuple[Customer, Provider]] = set()
        self.found: Found | None = None

    def expand(self, state: State) -> None:
        for label, after in steps(state, self.limits):
            known = canonical(after)
            problem = next(step_violations(state.world, label, after.world), None)
            if known not in self.parents:
                self.parents[known] = (state, label)
                self.queue.append(known)
                problem = problem or self.problem(known.world)
            if problem is not None:
                self.found = Found(problem, (*self.trace(state), label))
                return

    def problem(self, world: World) -> str | None:
        problem = next(violations(world, self.limits), None)
        for me, copy in enumerate(world.customers):
            if problem is None and (copy, world.provider) not in self.healed:
                self.healed.add((copy, world.provider))
                problem = next(heal_violations(world, me, self.limits), None)
        return problem

    def trace(self, state: State | None) -> tuple[str, ...]:
        labels: list[str] = []
        while state is not None:
            state, label = self.parents[state]
            labels.append(label)
        return tuple(reversed(labels[:-1]))


# --- symmetry: the two devices are alike ---------------------------------------------------


def canonical(state: State) -> State:
    """One of the two states that differ only in which device is called 0."""
    world = state.world
    keys = [(*(c.rows[d] for c in world.customers), world.provider.rows[d]) for d in (0, 1)]
    return State(_swapped(world), state.left) if keys[0] > keys[1] else state


def _swapped(world: World) -> World:
    return world._replace(
        customers=tuple(_swap_customer(c) for c in world.customers),
        provider=_swap_provider(world.provider),
        network=frozenset(_swap_message(m) for m in world.network),
        saved_customer=world.saved_customer and _swap_customer(world.saved_customer),
        saved_provider=world.saved_provider and _swap_provider(world.saved_provider),
        released=world.released[::-1],
    )


def _swap_customer(customer: Customer) -> Customer:
    return customer._replace(
        rows=customer.rows[::-1],
        local=customer.local[::-1],
        unclaimed=customer.unclaimed[::-1],
        doubted=customer.doubted[::-1],
        chunks=customer.chunks[::-1],
    )


def _swap_provider(provider: Provider) -> Provider:
    return provider._replace(rows=provider.rows[::-1], taken=provider.taken[::-1])


def _swap_message(message: Message) -> Message:
    if isinstance(message, Request):
        return _swap_request(message)
    return message._replace(request=_swap_request(message.request), rows=message.rows[::-1])


def _swap_request(request: Request) -> Request:
    return request if request.device < 0 else request._replace(device=1 - request.device)
