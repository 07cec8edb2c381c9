"""The whole world: copies of the customer, the provider, the network, and what can go wrong."""

from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

from . import customer as customers
from . import provider as providers
from .customer import Attachment, Customer, SeatState
from .provider import Provider
from .words import DEVICES, Answer, Kind, Message, Request, Rules


class Faults(NamedTuple):
    """How often each thing may still happen."""

    changes: int = 0  # uses, renewals and stops by people
    restarts: int = 0  # a customer's process crashes and starts
    clones: int = 0  # a second copy of the customer starts
    snapshots: int = 0  # a backup of either side is taken
    customer_restores: int = 0
    provider_restores: int = 0  # a machine put back, unannounced
    announced_restores: int = 0  # by the restore command
    revokes: int = 0
    suspends: int = 0
    takeovers: int = 0
    duplicates: int = 0  # beyond those that retries make
    reconciles: int = 0


class World(NamedTuple):
    customers: tuple[Customer, ...]
    provider: Provider
    network: frozenset[Message] = frozenset()
    saved_customer: Customer | None = None
    saved_provider: Provider | None = None
    next_nonce: int = 1
    doubled: bool = False  # for the invariants: there has been a second copy of the customer
    released: tuple[int, ...] = (0, 0)  # for the invariants: highest release acknowledged


class Limits(NamedTuple):
    """What never changes in one exploration."""

    in_flight: int = 2
    license: int = 2
    rules: Rules = Rules()


class State(NamedTuple):
    world: World
    left: Faults


Step: TypeAlias = tuple[str, State]


def steps(state: State, limits: Limits) -> Iterator[Step]:
    """Every next state, each with what happened in words."""
    world, left = state
    for label, after in _deliveries(world, limits.rules):
        yield label, State(after, left)
    for label, after in _sends(world, limits, left):
        yield label, State(after, left)
    if world.provider.rewound is providers.Rewound.SUSPECTED:
        confirmed = world.provider._replace(rewound=providers.Rewound.CONFIRMED)
        yield "operator confirms the rewind", State(world._replace(provider=confirmed), left)
    for fault, label, after in _events(world, left, limits):
        yield label, State(after, spend(left, fault))


def spend(left: Faults, fault: str) -> Faults:
    return left._replace(**{fault: getattr(left, fault) - 1})


def with_copy(world: World, me: int, copy: Customer) -> World:
    copies = tuple(copy if i == me else c for i, c in enumerate(world.customers))
    return world._replace(customers=copies)


# --- the network ---------------------------------------------------------------------------


def _deliveries(world: World, rules: Rules) -> Iterator[tuple[str, World]]:
    for message in world.network:
        rest = world.network - {message}
        yield f"deliver {describe(message)}", deliver(world, message, rest, rules)
        yield f"lose {describe(message)}", world._replace(network=rest)


def deliver(world: World, message: Message, rest: frozenset[Message], rules: Rules) -> World:
    if isinstance(message, Request):
        provider, answer = providers.handle(world.provider, message, rules)
        return world._replace(provider=provider, network=rest | {answer})
    me = message.request.sender
    before = world.customers[me]
    after = customers.receive(before, message, rules)
    released = tuple(
        max(known, row.generation)
        if old.state is SeatState.RELEASING and not row.pending
        else known
        for known, old, row in zip(world.released, before.rows, after.rows, strict=True)
    )
    return with_copy(world._replace(network=rest, released=released), me, after)


def _sends(world: World, limits: Limits, left: Faults) -> Iterator[tuple[str, World]]:
    for me, copy in enumerate(world.customers):
        drawn = customers.draws_nonce(copy, world.next_nonce)
        if drawn is not None:
            after = with_copy(world, me, drawn)._replace(next_nonce=world.next_nonce + 1)
            yield f"copy {me} draws nonce {drawn.nonce} to {drawn.opening}", after
            continue
        if len(world.network) >= limits.in_flight:
            continue
        for request in customers.requests(me, copy, False, limits.rules):
            if request not in world.network:
                sent = world._replace(network=world.network | {request})
                yield f"send {describe(request)}", sent


# --- people and misfortune -----------------------------------------------------------------

Event: TypeAlias = tuple[str, str, World]


def _events(world: World, left: Faults, limits: Limits) -> Iterator[Event]:
    for me in range(len(world.customers)):
        yield from _customer_events(world, me, left, limits)
    yield from _provider_events(world, left)
    yield from _backups(world, left)
    if left.duplicates and len(world.network) < limits.in_flight:
        for message in world.network:
            after = deliver(world, message, world.network, limits.rules)
            yield "duplicates", f"duplicate and deliver {describe(message)}", after


def _customer_events(world: World, me: int, left: Faults, limits: Limits) -> Iterator[Event]:
    copy = world.customers[me]
    if left.changes:
        for label, changed in _people(copy, limits):
            yield "changes", f"copy {me} {label}", with_copy(world, me, changed)
    restarted = customers.restarted(copy)
    if left.restarts and restarted != copy:
        yield "restarts", f"copy {me} crashes and starts", with_copy(world, me, restarted)
    if left.takeovers and copy.attachment is Attachment.CONFLICT and copy.opening is None:
        taking = with_copy(world, me, customers.take_over(copy, world.next_nonce))
        after = taking._replace(next_nonce=world.next_nonce + 1)
        yield "takeovers", f"copy {me} is told to take over", after
    if left.reconciles and len(world.network) < limits.in_flight:
        for request in customers.requests(me, copy, True, limits.rules):
            sent = world._replace(network=world.network | {request})
            yield "reconciles", f"reconcile: send {describe(request)}", sent


def _people(copy: Customer, limits: Limits) -> Iterator[tuple[str, Customer]]:
    for device in DEVICES:
        used = customers.use(copy, device, limits.license)
        if used is not None:
            yield f"uses device {device}", used
        stopped = customers.stop(copy, device)
        if stopped is not None:
            yield f"stops device {device}", stopped
        if not limits.rules.timeout_keeps and copy.rows[device].state is SeatState.ACQUIRING:
            yield f"gives up on device {device}", customers.give_up(copy, device)


def _provider_events(world: World, left: Faults) -> Iterator[Event]:
    provider = world.provider
    if left.revokes:
        for device, row in enumerate(provider.rows):
            if row.live:
                revoked = providers.revoke(provider, device)
                yield "revokes", f"operator revokes device {device}", _with(world, revoked)
            elif row.revoked:
                restored = providers.restore_seat(provider, device)
                yield "revokes", f"operator restores device {device}", _with(world, restored)
    if left.suspends:
        toggled = provider._replace(suspended=not provider.suspended)
        yield "suspends", "operator suspends or resumes", _with(world, toggled)


def _with(world: World, provider: Provider) -> World:
    return world._replace(provider=provider)


def _backups(world: World, left: Faults) -> Iterator[Event]:
    if left.snapshots and (left.provider_restores or left.announced_restores):
        yield "snapshots", "provider is saved", world._replace(saved_provider=world.provider)
    if left.snapshots and left.customer_restores:
        yield "snapshots", "copy 0 is saved", world._replace(saved_customer=world.customers[0])
    if left.clones:
        copies = (*world.customers, customers.restarted(world.customers[0]))
        yield "clones", "copy 0 is cloned", world._replace(customers=copies, doubled=True)
    if left.customer_restores and world.saved_customer is not None:
        yield "customer_restores", "copy 0 is put back", _customer_back(world, world.saved_customer)
    if world.saved_provider is not None and world.saved_provider != world.provider:
        for fault, announced in (("provider_restores", False), ("announced_restores", True)):
            if getattr(left, fault):
                back = _provider_back(world, world.saved_provider, announced)
                yield fault, f"provider is put back, announced: {announced}", back


def _customer_back(world: World, saved: Customer) -> World:
    # What both sides have lost, nobody can know any more.
    known = (0, 0) if world.provider.went_back else world.released
    back = with_copy(world, 0, customers.restarted(saved))
    return back._replace(doubled=True, released=known)


def _provider_back(world: World, saved: Provider, announced: bool) -> World:
    # The replaced process takes its connections, and all that they carried, with it.
    known = (0, 0) if world.doubled else world.released
    back = providers.from_backup(saved, announced)
    return world._replace(provider=back, network=frozenset(), released=known)


def describe(message: Message) -> str:
    if isinstance(message, Answer):
        known = f"epoch {message.epoch}, position {message.position}"
        return f"answer '{message.outcome}' ({known}) to {describe(message.request)}"
    words = [f"{message.call} from copy {message.sender}", f"epoch {message.epoch}"]
    words.append(f"position {message.position}")
    if message.nonce:
        words.append(f"nonce {message.nonce}")
    if message.kind is not Kind.ABSENT:
        words.append(f"{message.kind} of device {message.device} generation {message.generation}")
    return f"[{', '.join(words)}]"
