"""How computers sign in and out, and to whom they seal."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from sqlalchemy import MetaData

from customer_service.domain.device import Device
from customer_service.domain.enrollment import LIFETIME, IssuedCode
from customer_service.domain.seat import SeatState
from customer_service.operations import (
    archives,
    devices,
    enrollment,
    enrollment_codes,
    recovery_keys,
    restoring,
    users,
)
from customer_service.operations.enrollment import Caller, Enrolled
from service_kit.clock import now
from service_kit.database.backup import backup, restore
from service_kit.database.engine import Database, Transaction
from service_kit.database.paging import PageRequest
from service_kit.errors import (
    Conflict,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    Unauthenticated,
)
from service_kit.identity import device_certificate, recovery_key, statements
from service_kit.identity.enrollment import normalize_code
from service_kit.identity.guid import thumbprint
from service_kit.identity.identity import Identity
from service_kit.ledger import audit
from service_kit.reasons import Reason
from tests.support.computer import new_key
from tests.support.customer import Customer, new_id
from tests.support.databases import CUSTOMER, Ledgers

IDENTITY = Identity.create()
KEY, OTHER_KEY = new_key().public_key(), new_key().public_key()
OWN = thumbprint(KEY)


def new_code(customer: Customer, device: str) -> IssuedCode:
    return customer.run(enrollment_codes.create, IDENTITY, device, now())


def enroll(
    customer: Customer, code: IssuedCode, key: Any = KEY, late: timedelta = timedelta()
) -> Enrolled:
    normalized = normalize_code("code", code.code)
    return customer.run(enrollment.enroll, IDENTITY, normalized, key, now() + late)


def enrolled(customer: Customer, key: Any = KEY) -> str:
    device = customer.device()
    enroll(customer, new_code(customer, device), key)
    return device


def refused(call: Callable[[], object]) -> None:
    with pytest.raises(PermissionDenied) as refusal:
        call()
    assert refusal.value.reason is Reason.ENROLLMENT_CODE_REFUSED
    assert refusal.value.message == "There is no such enrollment code for this computer."


def is_signed_in(customer: Customer, device: str, key_thumbprint: str = OWN) -> bool:
    try:
        customer.read(enrollment.show, Caller(device, key_thumbprint))
    except Unauthenticated:
        return False
    return True


def kinds(customer: Customer) -> list[str]:
    found = customer.read(audit.list_events, audit.AuditFilter(), PageRequest())
    return [each.kind for each in found.items]


def everything(customer: Customer) -> str:
    """All rows, as text."""

    def read(tx: Transaction) -> str:
        found = MetaData()
        found.reflect(tx)
        return repr([tx.execute(table.select()).all() for table in found.sorted_tables])

    return customer.read(read)


def test_a_computer_signs_in_with_a_code_and_gets_a_certificate(customer: Customer) -> None:
    device = customer.device()
    code = new_code(customer, device)
    assert code.expire_time - now() <= timedelta(hours=24)
    answer = enroll(customer, code)
    certificate = x509.load_pem_x509_certificate(answer.certificate_pem)
    proven = device_certificate.verify(certificate, IDENTITY.ca_certificate)
    assert (proven.guid, proven.thumbprint) == (device, OWN)
    assert answer.view.device.enrolled
    assert is_signed_in(customer, device)
    assert kinds(customer)[-2:] == ["device.code_created", "device.enrolled"]


def test_the_same_key_is_answered_again_and_no_other(customer: Customer) -> None:
    device = customer.device()
    code = new_code(customer, device)
    enroll(customer, code)
    again = enroll(customer, code, late=LIFETIME - timedelta(minutes=1))
    assert again.view.device.enrolled
    assert kinds(customer).count("device.enrolled") == 1
    refused(lambda: enroll(customer, code, OTHER_KEY))
    refused(lambda: enroll(customer, code, late=LIFETIME + timedelta(minutes=1)))
    assert is_signed_in(customer, device)


def test_an_unknown_and_an_expired_code_are_refused_alike(customer: Customer) -> None:
    device = customer.device()
    refused(lambda: enroll(customer, IssuedCode("0000-0000-0000-0000", now())))
    code = new_code(customer, device)
    refused(lambda: enroll(customer, code, late=LIFETIME))
    assert not customer.read(devices.get, device).device.enrolled


def test_a_new_code_ends_the_one_before_and_signs_nobody_out(customer: Customer) -> None:
    device = customer.device()
    first = new_code(customer, device)
    enroll(customer, first)
    second = new_code(customer, device)
    refused(lambda: enroll(customer, first))
    assert is_signed_in(customer, device)
    enroll(customer, second, OTHER_KEY)
    assert not is_signed_in(customer, device)
    assert is_signed_in(customer, device, thumbprint(OTHER_KEY))


def test_a_code_is_of_the_server_that_made_it(customer: Customer) -> None:
    code = new_code(customer, customer.device())
    normalized = normalize_code("code", code.code)
    refused(lambda: customer.run(enrollment.enroll, Identity.create(), normalized, KEY, now()))


def test_no_code_is_kept(customer: Customer) -> None:
    device = customer.device()
    code = new_code(customer, device)
    rows = everything(customer)
    assert code.code not in rows
    assert code.code.replace("-", "") not in rows
    assert code.code not in repr(code)


def test_registering_answers_a_code_once(customer: Customer) -> None:
    wanted = Device(new_id(), "laptop", customer.user(), now())
    view, code = customer.run(enrollment_codes.register, IDENTITY, wanted, now())
    assert code is not None
    assert customer.run(enrollment_codes.register, IDENTITY, wanted, now()) == (view, None)
    assert enroll(customer, code).view.device.id == view.device.id


def end_deauthorized(tx: Transaction, device: str) -> None:
    devices.deauthorize(tx, device, now())


def end_deactivated(tx: Transaction, device: str) -> None:
    devices.deactivate(tx, device, now())


def end_replaced(tx: Transaction, device: str) -> None:
    enrollment_codes.replace(tx, IDENTITY, device, None, now())


def end_unenrolled(tx: Transaction, device: str) -> None:
    enrollment.unenroll(tx, Caller(device, OWN), now())


@pytest.mark.parametrize("end", [end_deauthorized, end_deactivated, end_replaced, end_unenrolled])
def test_whoever_is_signed_out_is_out_at_once_and_so_is_the_code(
    customer: Customer, end: Callable[[Transaction, str], None]
) -> None:
    device = customer.device()
    code = new_code(customer, device)
    enroll(customer, code)
    customer.run(end, device)
    assert not is_signed_in(customer, device)
    assert not customer.read(devices.get, device).device.enrolled
    refused(lambda: enroll(customer, code))
    with pytest.raises(Unauthenticated) as refusal:
        customer.run(archives.begin, Caller(device, OWN), customer.local, now())
    assert refusal.value.reason is Reason.CREDENTIALS_REVOKED
    with pytest.raises(Unauthenticated):
        customer.run(enrollment.unenroll, Caller(device, OWN), now())


def test_signing_in_ends_a_deauthorization(customer: Customer) -> None:
    device = enrolled(customer)
    customer.run(devices.deauthorize, device, now())
    with pytest.raises(Conflict, match="signed out"):
        customer.use(device, customer.local)
    enroll(customer, new_code(customer, device))
    assert not customer.read(devices.get, device).device.deauthorized
    assert customer.use(device, customer.local).state is SeatState.HELD


def test_a_replacement_brings_its_own_code(customer: Customer) -> None:
    device = enrolled(customer)
    view, _, code = customer.run(enrollment_codes.replace, IDENTITY, device, "tower", now())
    assert not view.device.enrolled
    assert enroll(customer, code, OTHER_KEY).view.device.name == "tower"


@pytest.mark.parametrize("end", [end_deauthorized, end_replaced, end_unenrolled])
def test_who_is_signed_out_keeps_the_seat_and_no_credential(
    customer: Customer, end: Callable[[Transaction, str], None]
) -> None:
    offsite = customer.attach()
    device = enrolled(customer)
    customer.use(device, customer.local)
    customer.hold(device, offsite)
    customer.run(end, device)
    assert customer.seat(device, customer.local).generation == 2
    assert customer.seat(device, offsite).generation == 2
    assert customer.state(device, offsite) is SeatState.ACQUIRING
    assert customer.seats_in_use() == 1


def test_another_computer_takes_the_credentials_of_the_one_before(customer: Customer) -> None:
    device = customer.device()
    customer.use(device, customer.local)
    enroll(customer, new_code(customer, device))
    assert customer.seat(device, customer.local).generation == 1  # nobody was signed in before
    enroll(customer, new_code(customer, device))
    assert customer.seat(device, customer.local).generation == 1  # it is the same computer
    enroll(customer, new_code(customer, device), OTHER_KEY)
    assert customer.seat(device, customer.local).generation == 2
    assert customer.state(device, customer.local) is SeatState.HELD


def test_a_device_or_user_that_is_not_active_does_not_sign_in(customer: Customer) -> None:
    user = customer.user()
    device = customer.device(user)
    code = new_code(customer, device)
    customer.run(users.block, user, now())
    for call in (lambda: enroll(customer, code), lambda: new_code(customer, device)):
        with pytest.raises(Conflict) as refusal:
            call()
        assert refusal.value.reason is Reason.USER_NOT_ACTIVE
    customer.run(users.unblock, user, now())
    enroll(customer, code)
    customer.run(devices.deactivate, device, now())
    with pytest.raises(Conflict):
        new_code(customer, device)
    customer.run(devices.reactivate, device, now())
    assert not is_signed_in(customer, device)
    with pytest.raises(NotFound):
        new_code(customer, new_id())


def test_a_device_uses_storages_by_the_rules_of_its_administrator(customer: Customer) -> None:
    device = enrolled(customer)
    caller = Caller(device, OWN)
    customer.run(archives.begin, caller, customer.local, now())
    assert customer.seat(device, customer.local).live
    user = customer.read(devices.get, device).device.user_id
    customer.run(users.block, user, now())
    assert is_signed_in(customer, device)
    with pytest.raises(Conflict) as refusal:
        customer.run(archives.begin, caller, customer.local, now())
    assert refusal.value.reason is Reason.USER_NOT_ACTIVE


def test_of_two_computers_with_one_code_one_signs_in(customer: Customer) -> None:
    device = customer.device()
    code = new_code(customer, device)
    keys = [new_key().public_key() for _ in range(8)]

    def attempt(key: Any) -> bool:
        try:
            enroll(customer, code, key)
        except PermissionDenied:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(attempt, keys))
    assert outcomes.count(True) == 1
    assert is_signed_in(customer, device, thumbprint(keys[outcomes.index(True)]))


def test_signing_out_and_opening_an_archive_at_once_leaves_no_credential(
    customer: Customer,
) -> None:
    """Whichever is first: the generation that was answered is over, or nothing was answered."""
    for _ in range(5):
        device = enrolled(customer)
        caller = Caller(device, OWN)

        def open_archive(caller: Caller = caller) -> int:
            try:
                customer.run(archives.begin, caller, customer.local, now())
                found = customer.read(archives._look, caller, customer.local)
            except Unauthenticated:
                return 0
            return found.seat.generation if found.seat else 0

        customer.use(device, customer.local)
        with ThreadPoolExecutor(2) as pool:
            opened = pool.submit(open_archive)
            pool.submit(customer.run, devices.deauthorize, device, now()).result()
            assert opened.result() in (0, 1)
        assert customer.seat(device, customer.local).generation == 2


# --- the recovery key


def test_a_recovery_key_is_stated_for_devices(customer: Customer) -> None:
    assert customer.read(recovery_keys.in_force) is None
    assert enroll(customer, new_code(customer, customer.device())).recovery_key == ""
    recipient = recovery_key.generate().recipient
    made = customer.run(recovery_keys.create, IDENTITY, recipient, now())
    stated = statements.read_recovery_key(made.statement, IDENTITY.guid)
    assert stated.recipient == made.recipient == recipient
    device = customer.device()
    assert enroll(customer, new_code(customer, device)).recovery_key == made.statement
    shown = customer.read(enrollment.show, Caller(device, OWN))
    assert shown.recovery_key == made.statement
    assert "recovery_key.created" in kinds(customer)


def test_the_newest_recovery_key_is_in_force_and_a_repeat_adds_none(customer: Customer) -> None:
    first, second = (recovery_key.generate().recipient for _ in range(2))
    made = customer.run(recovery_keys.create, IDENTITY, first, now())
    again = customer.run(recovery_keys.create, IDENTITY, first.upper(), now())
    assert again == made
    customer.run(recovery_keys.create, IDENTITY, second, now())
    found = customer.read(recovery_keys.in_force)
    assert found
    assert found.recipient == second
    assert kinds(customer).count("recovery_key.created") == 2
    with pytest.raises(InvalidArgument):
        customer.run(recovery_keys.create, IDENTITY, recovery_key.generate().private_key, now())


# --- backups


def test_a_backup_brings_back_who_is_signed_in_and_no_code(
    customer: Customer, ledgers: Ledgers, tmp_path: Path
) -> None:
    device = enrolled(customer)
    code = new_code(customer, customer.device())
    made = customer.run(recovery_keys.create, IDENTITY, recovery_key.generate().recipient, now())
    IDENTITY.save(tmp_path / "identity.pem")
    backup(
        customer.database,
        kind="customer",
        identity=tmp_path / "identity.pem",
        file=tmp_path / "backup",
        now=now(),
    )
    url = ledgers.empty()
    restored = Database(url)
    (tmp_path / "new").mkdir()
    restore(
        restored,
        kind="customer",
        migrations=CUSTOMER,
        identity=tmp_path / "new" / "identity.pem",
        file=tmp_path / "backup",
        after_restore=lambda tx: restoring.mark_restored(tx, now()),
    )
    other = Customer(restored)
    assert is_signed_in(other, device)
    refused(lambda: enroll(other, code))
    assert other.read(recovery_keys.in_force) == made
    recipient = recovery_key.generate().recipient
    other.run(recovery_keys.create, IDENTITY, recipient, now())
    found = other.read(recovery_keys.in_force)
    assert found
    assert found.recipient == recipient
    restored.dispose()
    ledgers.drop(url)
