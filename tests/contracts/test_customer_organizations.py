"""The customer's own tree."""

from dataclasses import replace
from datetime import timedelta

import pytest

from customer_service.domain.organization import Organization
from customer_service.operations import organizations, users
from customer_service.operations.organizations import Impact
from customer_service.operations.seats import Released
from service_kit.clock import now
from service_kit.database.paging import PageRequest
from service_kit.errors import AlreadyExists, Conflict, InvalidArgument, NotFound, Stale
from tests.support.customer import Customer, new_id


def names(customer: Customer, name: str = "", show_deactivated: bool = False) -> set[str]:
    found = customer.read(organizations.list_page, PageRequest(), name, show_deactivated)
    return {each.organization.name for each in found.items}


def test_what_is_entered_is_kept_in_one_form() -> None:
    upper = "0B8F4D52-7D3F-4C3B-9A53-0D1F6A1C2E11"
    organization = Organization(upper, "  Sales ", upper, now())
    assert (organization.id, organization.name) == (upper.lower(), "Sales")
    assert organization.parent_id == upper.lower()


@pytest.mark.parametrize("name", ["", "   ", "x" * 201, "a\x00b", "a\nb"])
def test_a_name_is_1_to_200_printable_characters(name: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        Organization(new_id(), name, None, now())
    assert [each.field for each in refused.value.violations] == ["organization.name"]


def test_the_root_is_made_once(customer: Customer) -> None:
    customer.run(organizations.ensure_root, new_id(), "Another", now())
    assert names(customer) == {"Acme"}
    assert customer.read(organizations.root_id) == customer.root


def test_a_repeated_create_answers_the_same(customer: Customer) -> None:
    wanted = Organization(new_id(), "Sales", customer.root, now())
    first = customer.run(organizations.create, wanted, now())
    again = Organization(wanted.id, " Sales ", customer.root, now())
    assert customer.run(organizations.create, again, now()) == first
    other = Organization(wanted.id, "Other", customer.root, now())
    with pytest.raises(AlreadyExists):
        customer.run(organizations.create, other, now())


def test_names_are_unique_in_any_case_and_composition(customer: Customer) -> None:
    customer.organization("Café")
    for name in ("CAFÉ", "Cafe\u0301"):
        with pytest.raises(AlreadyExists):
            customer.organization(name)
    assert names(customer, "cafe\u0301") == {"Café"}


def test_an_update_renames_and_moves(customer: Customer) -> None:
    sales, north = customer.organization("Sales"), customer.organization("North")
    view = customer.run(
        organizations.update, north, {"name": "Far North", "parent_id": sales}, "", now()
    )
    assert (view.organization.name, view.organization.parent_id) == ("Far North", sales)


def test_an_etag_guards_against_overwriting(customer: Customer) -> None:
    sales = customer.organization("Sales")
    etag = str(customer.read(organizations.get, sales).organization.version)
    customer.run(organizations.update, sales, {"name": "Sales 2"}, etag, now())
    with pytest.raises(Stale):
        customer.run(organizations.update, sales, {"name": "Sales 3"}, etag, now())


def test_nothing_moves_below_itself_and_the_root_stays(customer: Customer) -> None:
    sales = customer.organization("Sales")
    north = customer.organization("North", sales)
    for moved, parent in ((sales, north), (sales, sales), (customer.root, sales)):
        with pytest.raises(Conflict):
            customer.run(organizations.update, moved, {"parent_id": parent}, "", now())
    with pytest.raises(NotFound):
        customer.run(organizations.update, sales, {"parent_id": new_id()}, "", now())


def test_deactivating_takes_along_all_below_and_counts_each_once(customer: Customer) -> None:
    offsite = customer.attach()
    sales = customer.organization("Sales")
    north = customer.organization("North", sales)
    gone = customer.organization("Gone", sales)
    device, local_only = (
        customer.device(customer.user(sales)),
        customer.device(customer.user(north)),
    )
    customer.hold(device, offsite)
    customer.use(device, customer.local)
    customer.use(local_only, customer.local)
    customer.use(customer.device(customer.user(gone)), customer.local)
    customer.run(organizations.deactivate, gone, now())
    preview = customer.database.preview_sync(organizations.deactivate, sales, now())
    view, impact = customer.run(organizations.deactivate, sales, now())
    assert preview == (view, impact)
    assert impact == Impact(2, 2, Released(devices=2, seats=2, provider_seats=1))
    assert customer.read(organizations.get, north).deactivated
    assert customer.run(organizations.deactivate, sales, now())[1] == Impact()
    assert names(customer) == {"Acme"}
    assert names(customer, show_deactivated=True) == {"Acme", "Sales", "North", "Gone"}
    assert customer.seats_in_use() == 0


def test_reactivating_leaves_those_deactivated_on_their_own(customer: Customer) -> None:
    sales = customer.organization("Sales")
    north = customer.organization("North", sales)
    customer.run(organizations.deactivate, north, now())
    customer.run(organizations.deactivate, sales, now())
    assert not customer.run(organizations.reactivate, sales, now()).deactivated
    assert customer.read(organizations.get, north).deactivated


def test_the_root_can_not_be_deactivated(customer: Customer) -> None:
    with pytest.raises(Conflict):
        customer.run(organizations.deactivate, customer.root, now())


def test_a_deactivated_organization_takes_in_nobody(customer: Customer) -> None:
    sales, other = customer.organization("Sales"), customer.organization("Other")
    below = customer.organization("Below", sales)
    user = customer.user(other)
    customer.run(organizations.deactivate, sales, now())
    with pytest.raises(Conflict):
        customer.user(below)
    with pytest.raises(Conflict):
        customer.organization("New", sales)
    with pytest.raises(Conflict):
        customer.run(organizations.update, other, {"parent_id": below}, "", now())
    with pytest.raises(Conflict):
        customer.run(users.update, user, {"organization_id": sales}, "", now())
    customer.run(
        organizations.update, below, {"name": "Still below", "parent_id": sales}, "", now()
    )


def test_a_list_pages_and_a_view_counts(customer: Customer) -> None:
    offsite = customer.attach()
    sales = customer.organization("Sales")
    user, blocked = customer.user(sales), customer.user(sales)
    customer.hold(customer.device(user), offsite)
    customer.use(customer.device(user), customer.local)
    customer.run(users.block, blocked, now())
    seen: list[str] = []
    token = ""
    while True:
        page = customer.read(organizations.list_page, PageRequest(1, token), "", False)
        seen += [each.organization.id for each in page.items]
        if not (token := page.next_page_token):
            break
    assert seen == sorted([customer.root, sales])
    view = customer.read(organizations.get, sales)
    assert (view.active_users, view.seats_in_use) == (1, 2)
    use = customer.read(organizations.license_use, PageRequest())
    assert set(use.items) == {(customer.root, "Acme", 0), (sales, "Sales", 2)}


def test_a_quota_is_set_and_taken_away(customer: Customer) -> None:
    wanted = Organization(new_id(), "Sales", customer.root, now(), disk_quota_bytes=5)
    customer.run(organizations.create, wanted, now())
    assert customer.run(organizations.create, wanted, now()).organization == wanted
    with pytest.raises(AlreadyExists):
        customer.run(organizations.create, replace(wanted, disk_quota_bytes=6), now())
    for quota in (0, 10**18, None):
        customer.run(organizations.update, wanted.id, {"disk_quota_bytes": quota}, "", now())
        found = customer.read(organizations.get, wanted.id).organization
        assert found.disk_quota_bytes == quota
    with pytest.raises(InvalidArgument) as refused:
        customer.run(organizations.update, wanted.id, {"disk_quota_bytes": -1}, "", now())
    assert [each.field for each in refused.value.violations] == ["organization.disk_quota.bytes"]


def test_the_root_alone_says_how_long_archives_are_kept(customer: Customer) -> None:
    root = customer.read(organizations.get, customer.root).organization
    assert (root.present_delete_delay.days, root.present_retention.days) == (30, 90)
    changes = {"delete_delay": timedelta(0), "retention": timedelta(days=1), "append_only": True}
    customer.run(organizations.update, customer.root, changes, "", now())
    root = customer.read(organizations.get, customer.root).organization
    assert (root.present_delete_delay, root.present_retention) == (timedelta(0), timedelta(days=1))
    assert root.append_only
    with pytest.raises(InvalidArgument) as refused:
        customer.run(organizations.update, customer.organization("Sales"), changes, "", now())
    assert [each.field for each in refused.value.violations] == [
        "organization.delete_delay_seconds",
        "organization.retention_seconds",
        "organization.append_only",
    ]


@pytest.mark.parametrize(
    "changes",
    [
        {"delete_delay": timedelta(days=3651)},
        {"delete_delay": timedelta.min},
        {"retention": timedelta(0)},
        {"retention": timedelta.max},
    ],
)
def test_archives_are_kept_for_ten_years_at_most(
    customer: Customer, changes: dict[str, timedelta]
) -> None:
    with pytest.raises(InvalidArgument):
        customer.run(organizations.update, customer.root, changes, "", now())
