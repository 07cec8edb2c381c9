"""I1 to I9 of the seats page, for states, for steps, and for healed worlds."""

from collections.abc import Iterator

from . import customer as customers
from . import provider as providers
from .customer import Attachment, Compare, Customer, SeatState
from .provider import Provider, Rewound
from .words import DEVICES, Call, Request, Rules
from .world import Limits, World, deliver, with_copy


def owns(copy: Customer, provider: Provider, rules: Rules) -> bool:
    """Whether this copy is the one that the provider listens to."""
    return (
        copy.attachment is Attachment.ATTACHED
        and copy.session
        and copy.owes is Compare.NOTHING
        and not provider.conflict
        and (copy.epoch == provider.epoch or not rules.epochs)
    )


def violations(world: World, limits: Limits) -> Iterator[str]:
    """What is wrong in this state, whatever is still in flight."""
    provider = world.provider
    live = sum(row.live for row in provider.rows)
    if provider.in_use != live:
        yield "I8: the deltas do not sum to the count"
    if any(sum(copy.local) > limits.license for copy in world.customers):
        yield "I3: more local seats than the license"
    apart = any(copy.attachment is Attachment.CONFLICT for copy in world.customers)
    if (apart or provider.conflict) and not world.doubled:
        yield "a conflict, and there is no second copy"
    owners = [c for c in world.customers if owns(c, provider, limits.rules)]
    if len(owners) > 1:
        yield "two copies own one epoch"
    if provider.went_back or provider.rewound is not Rewound.NO:
        return
    for copy in owners:
        yield from _seats_disagree(copy, provider)


def _seats_disagree(copy: Customer, provider: Provider) -> Iterator[str]:
    for device in DEVICES:
        here, there = copy.rows[device], provider.rows[device]
        held = here.state is SeatState.HELD
        is_live = there.live and there.generation == here.generation
        ended = there.withdrawn == here.generation
        if held and not is_live and not ended:
            yield "I4: held here, not live there"
        # A revocation lost by a rewind is for the operator to repeat.
        accounted = here.pending or held or here.state is SeatState.REVOKED
        if there.live and not accounted and not _unclaimed(copy, device, provider):
            yield "I5: live there, with nothing pending and not held here"


def _unclaimed(copy: Customer, device: int, provider: Provider) -> bool:
    return copy.unclaimed[device] == provider.rows[device].generation or not any(copy.rows[device])


def step_violations(before: World, label: str, after: World) -> Iterator[str]:
    """What no single step may do."""
    old, new = before.provider, after.provider
    if len(before.customers) == len(after.customers) and "put back" not in label:
        for one, two in zip(before.customers, after.customers, strict=True):
            yield from _copy_step(one, two, label, before)
    excepted = "chunk" in label or "put back" in label
    if new.in_use > old.in_use and old.in_use >= new.limit and not excepted:
        yield "I1: a seat was granted above the limit"
    if old.position < new.position:
        for message in before.network - after.network:
            if isinstance(message, Request) and message.call is Call.SEAT:
                yield from _applied(before, message, after)


def _copy_step(one: Customer, two: Customer, label: str, before: World) -> Iterator[str]:
    if one.local != two.local and " uses " not in label and " stops " not in label:
        yield "I9: a local seat changed without a person"
    for device in DEVICES:
        was, now, there = one.rows[device], two.rows[device], before.provider.rows[device]
        if was.held and now.state is SeatState.REFUSED and there.withdrawn < was.acknowledged:
            yield "a seat that was held is refused"
        if was.state is SeatState.RELEASING and now.state is SeatState.HELD:
            yield "I6: a release that a person asked for is forgotten"


def _applied(before: World, request: Request, after: World) -> Iterator[str]:
    old, new = before.provider, after.provider
    forgotten = request.acknowledged > old.rows[request.device].generation
    if old.went_back and (forgotten or request.position > old.position):
        yield "a seat request was applied by a provider that went back in time"
    for device in DEVICES:
        row = new.rows[device]
        begins = row.live and not old.rows[device].live and not old.went_back
        if begins and row.generation <= before.released[device]:
            yield "I6: a released seat came back"


# --- healing -------------------------------------------------------------------------------


def heal_violations(world: World, me: int, limits: Limits) -> Iterator[str]:
    """What is wrong once copy `me` alone is left, the network works and people do their part."""
    world = world._replace(network=frozenset())
    for _ in range(60):
        world, busy = _heal_step(world, me, limits)
        if not busy:
            break
    else:
        yield "it does not heal"
        return
    copy, provider = world.customers[me], world.provider
    if not owns(copy, provider, limits.rules) or provider.rewound is not Rewound.NO:
        yield "healed, and not attached"
    for device in DEVICES:
        here, there = copy.rows[device], provider.rows[device]
        held = here.state is SeatState.HELD
        if here.pending:
            yield "healed, and still pending"
        if held is not there.live and not _unclaimed(copy, device, provider):
            yield "I4/I5 healed: the two sets differ"
        if held and here.generation != there.generation:
            yield "I4/I7 healed: the generations differ, so the credential is dead"


def _heal_step(world: World, me: int, limits: Limits) -> tuple[World, bool]:
    provider, copy = world.provider, world.customers[me]
    if provider.rewound is Rewound.SUSPECTED:
        provider = provider._replace(rewound=Rewound.CONFIRMED)
        return world._replace(provider=provider), True
    if copy.attachment is Attachment.CONFLICT and copy.opening is None:
        taking = with_copy(world, me, customers.take_over(copy, world.next_nonce))
        return taking._replace(next_nonce=world.next_nonce + 1), True
    drawn = customers.draws_nonce(copy, world.next_nonce)
    if drawn is not None:
        return with_copy(world, me, drawn)._replace(next_nonce=world.next_nonce + 1), True
    request = customers.requests(me, copy, True, limits.rules)[0]
    handled, answer = providers.handle(provider, request, limits.rules)
    world = world._replace(provider=handled)
    after = deliver(world, answer, frozenset(), limits.rules)
    return after, request.call is not Call.LIST or after != world
