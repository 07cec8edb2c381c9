"""The seat protocol as it runs: two real servers, a line that fails, and what must hold afterwards.

Independent of the model in tests/model: random walks over real gRPC. After each heal both ledgers
must be equal and the invariants hold. More EXAMPLES and STEPS make the walk longer.
"""

import asyncio
import itertools
import shutil
import tempfile
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import grpc.aio
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from offsite.customer.v1 import device_service_pb2 as device_pb
from offsite.customer.v1 import storage_service_pb2 as storage_pb
from offsite.customer.v1 import user_service_pb2 as user_pb
from offsite.provider.v1 import organization_service_pb2 as organization_pb
from offsite.provider.v1 import seat_service_pb2 as seat_pb

from customer_service.background import outbox
from tests.support.fault_proxy import Fault, no_faults
from tests.support.ledgers import Ledgers
from tests.support.pair import Pair
from tests.support.sites import Site, sites_behind_proxy
from tests.support.waiting import eventually

EXAMPLES = 15
STEPS = 30
DEVICES = 3
SEATS = 2
HEAL_SECONDS = 20.0
TROUBLE = st.lists(st.sampled_from(list(Fault)), min_size=1, max_size=6)

T = TypeVar("T")
places = st.integers(0, DEVICES - 1)
WISHES = ("use", "stop")
CHANGES = st.lists(st.tuples(st.sampled_from(WISHES), places), min_size=1, max_size=6)


class Servers(RuleBasedStateMachine):
    """Devices that come and go, operators, faults of the line, restarts, and old copies."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.stack = AsyncExitStack()
        self.folder = Path(tempfile.mkdtemp(prefix="machine-"))
        self.numbers = itertools.count()
        self.wishes: dict[str, str] = {}
        self.over = False
        self.unsure = False  # an old copy may take a change for made that it has to make anew
        self.copies: dict[str, Site] = {}

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    @property
    def pair(self) -> Pair:
        return self.sites.pair

    @initialize()
    def begin(self) -> None:
        self.run(self._begin())

    async def _begin(self) -> None:
        entered = await self.stack.enter_async_context(sites_behind_proxy(self.folder, SEATS))
        self.sites, self.proxy = entered
        self.user = await self.pair.user()
        self.devices = [
            await self.pair.device(f"laptop-{number}", self.user.id) for number in range(DEVICES)
        ]
        await self._change_all([("use", device) for device in self.devices])
        await self._heal()  # the copies are of a session that has begun
        self._copy("customer")
        self._copy("provider")

    def teardown(self) -> None:
        """Every walk ends well."""
        try:
            if hasattr(self, "sites"):
                self.heal()
        finally:
            self.run(self.stack.aclose())
            self.loop.close()
            shutil.rmtree(self.folder)

    # --- people

    @rule(changes=CHANGES)
    def one_after_the_other(self, changes: list[tuple[str, int]]) -> None:
        """Devices begin and stop to use the storage."""
        for wish, place in changes:
            self.run(self._change(wish, self.devices[place]))

    @rule(changes=CHANGES, trouble=TROUBLE)
    def all_at_once(self, changes: list[tuple[str, int]], trouble: list[Fault]) -> None:
        """The same in one moment, on a line that fails; a device once, or its wish is unknown."""
        self.disturb(trouble)
        each_once = {place: (wish, self.devices[place]) for wish, place in changes}
        self.run(self._change_all(list(each_once.values())))

    @rule(wish=st.sampled_from(WISHES), trouble=TROUBLE)
    def all_the_same(self, wish: str, trouble: list[Fault]) -> None:
        """Every device wants the same in one moment, on a line that fails."""
        self.disturb(trouble)
        self.run(self._change_all([(wish, device) for device in self.devices]))

    @rule()
    def block_and_unblock_the_user(self) -> None:
        users = self.pair.users
        if self._tried(users.BlockUser, user_pb.BlockUserRequest(user_id=self.user.id)):
            for device in self.devices:
                self._note("stop", device)
        self._tried(users.UnblockUser, user_pb.UnblockUserRequest(user_id=self.user.id))

    @rule(place=places)
    def renew(self, place: int) -> None:
        request = device_pb.DeauthorizeDeviceRequest(device_id=self.devices[place].id)
        self._tried(self.pair.devices.DeauthorizeDevice, request)

    @rule(place=places)
    def revoke(self, place: int) -> None:
        request = seat_pb.RevokeSeatRequest(
            organization_id=self.pair.organization_id, device_guid=self.devices[place].id
        )
        self._tried(self.pair.seats.RevokeSeat, request)

    @rule(place=places)
    def restore(self, place: int) -> None:
        request = seat_pb.RestoreSeatRequest(
            organization_id=self.pair.organization_id, device_guid=self.devices[place].id
        )
        self._tried(self.pair.seats.RestoreSeat, request)

    @rule(seats=st.integers(0, DEVICES))
    def change_the_license(self, seats: int) -> None:
        self.run(self.pair.provider_may_use(seats))
        self.over = True

    # --- the line

    @rule(trouble=TROUBLE)
    def disturb(self, trouble: list[Fault]) -> None:
        """The next calls go wrong in these ways, one after the other."""
        coming = iter(trouble)
        self.proxy.plan = lambda _: next(coming, Fault.NONE)

    @rule()
    def break_the_line(self) -> None:
        self.proxy.plan = lambda _: Fault.LOSE_REQUEST

    @rule(place=st.integers(0, 9))
    def deliver_late(self, place: int) -> None:
        """One of the requests that were held back arrives now."""
        if self.proxy.held:
            self.run(self.proxy.deliver(place % len(self.proxy.held)))

    # --- servers

    @rule()
    def restart_the_customer(self) -> None:
        self.run(self.sites.restart(self.sites.customer))

    @rule()
    def restart_the_provider(self) -> None:
        self.proxy.forget_held()  # they die with the connections of the process
        self.run(self.sites.restart(self.sites.provider))

    @rule(whose=st.sampled_from(["customer", "provider"]))
    def copy(self, whose: str) -> None:
        """Take a backup of a whole server, for later."""
        self._copy(whose)

    @rule(whose=st.sampled_from(["customer", "provider"]))
    def put_back(self, whose: str) -> None:
        """Bring a server back from its last backup, in silence."""
        if whose == "provider":
            self.proxy.forget_held()
            self.over = True
        else:
            self.unsure = True
        self.run(self._put_back(getattr(self.sites, whose), self.copies[whose]))

    def _copy(self, whose: str) -> None:
        site: Site = getattr(self.sites, whose)
        self.copies[whose] = site.copy_to(self.folder / f"copy-{next(self.numbers)}")

    async def _put_back(self, site: Site, earlier: Site) -> None:
        await site.stop()
        site.go_back_to(earlier)
        await self.sites.restart(site)
        self.wishes.clear()  # what was asked since the copy, nobody can know

    # --- what must hold

    @rule()
    def heal(self) -> None:
        """The line is good again, operators do their part: both ledgers become equal."""
        ledgers = self.run(self._heal())
        self.unsure = False
        ledgers.check_settled()
        ledgers.check_always(over=self.over)
        for device_id, wish in self.wishes.items():
            state = ledgers.customer.states.get(device_id, "none")
            if wish == "stop":
                assert device_id not in ledgers.provider.live, "I6: released, and it came back"
                assert state == "none", "I6: released, and it came back here"
            else:
                assert state in ("held", "refused", "revoked"), f"a wish is lost: {state}"

    @precondition(lambda self: hasattr(self, "sites"))
    @invariant()
    def counts_agree(self) -> None:
        self.sites.ledgers().check_always(over=self.over)

    async def _heal(self) -> Ledgers:
        self.proxy.plan = no_faults
        while self.proxy.held:
            await self.proxy.deliver()
        await self._operators()
        await self.pair.go_on(compare=True)

        async def look() -> Ledgers:
            await self._operators()
            await self.pair.go_on()
            return self.sites.ledgers()

        def good(ledgers: Ledgers) -> bool:
            ours = ledgers.customer
            return ours.state == "attached" and ours.compared and ours.found_equal and ledgers.equal

        return await eventually(look, good, within=HEAL_SECONDS)

    async def _operators(self) -> None:
        """Decide what only a person may."""
        storage = await self.pair.storage()
        if storage.state == storage_pb.STORAGE_STATE_CONFLICT:
            request = storage_pb.TakeOverStorageRequest(storage_id=self.pair.storage_id)
            await self._try(self.pair.storages.TakeOverStorage, request)
        if storage.state == storage_pb.STORAGE_STATE_REWOUND:
            confirm = organization_pb.ConfirmRewoundRequest(
                organization_id=self.pair.organization_id
            )
            await self._try(self.pair.organizations.ConfirmRewound, confirm)

    async def _change_all(self, changes: list[tuple[str, device_pb.Device]]) -> None:
        async with asyncio.TaskGroup() as tasks:
            for wish, device in changes:
                tasks.create_task(self._change(wish, device))

    async def _change(self, wish: str, device: device_pb.Device) -> None:
        call: Any = self.pair.use if wish == "use" else self.pair.stop
        if await self._try(call, device):
            self._note(wish, device)

    def _note(self, wish: str, device: device_pb.Device) -> None:
        if not self.unsure:
            self.wishes[device.id] = wish

    def _tried(self, method: Any, request: Any) -> bool:
        return self.run(self._try(method, request))

    async def _try(self, method: Any, request: Any) -> bool:
        """Whether a call was accepted; a refusal is no failure of the test."""
        try:
            await method(request)
        except grpc.aio.AioRpcError as error:
            code = error.code()
        else:
            return True
        assert code not in (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN)
        return False


def test_the_ledgers_become_equal_whatever_goes_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "WAIT", timedelta(seconds=0.2))  # lines are broken for long here
    run_state_machine_as_test(
        Servers,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            phases=[Phase.generate],  # two servers never run the same way twice: nothing to shrink
            suppress_health_check=list(HealthCheck),
        ),
    )
