"""A provider's server over the wire, spoken to by its operator and by a customer's server."""

import asyncio
import hashlib
import uuid
from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import grpc.aio
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from offsite.common.v1.license_service_pb2 import ListLicenseUseRequest
from offsite.common.v1.license_service_pb2_grpc import LicenseServiceStub
from offsite.provider.v1 import attachment_service_pb2 as attachment_pb
from offsite.provider.v1 import organization_service_pb2 as organization_pb
from offsite.provider.v1 import seat_service_pb2 as seat_pb
from offsite.provider.v1 import terms_service_pb2 as terms_pb
from offsite.provider.v1.attachment_service_pb2_grpc import AttachmentServiceStub
from offsite.provider.v1.organization_service_pb2_grpc import OrganizationServiceStub
from offsite.provider.v1.seat_service_pb2_grpc import SeatServiceStub
from offsite.provider.v1.terms_service_pb2_grpc import TermsServiceStub

import provider_service.app
from service_kit.client.status import error_of
from service_kit.clock import now
from service_kit.errors import InvalidArgument, OffsiteError
from service_kit.identity import peer_token
from service_kit.identity.identity import Identity
from service_kit.reasons import Reason
from service_kit.server.process import Server
from tests.support.servers import channel, local_settings, operator_token, running

if TYPE_CHECKING:  # these classes exist for type checkers alone
    from offsite.common.v1.license_service_pb2_grpc import LicenseServiceAsyncStub
    from offsite.provider.v1.attachment_service_pb2_grpc import AttachmentServiceAsyncStub
    from offsite.provider.v1.organization_service_pb2_grpc import OrganizationServiceAsyncStub
    from offsite.provider.v1.seat_service_pb2_grpc import SeatServiceAsyncStub
    from offsite.provider.v1.terms_service_pb2_grpc import TermsServiceAsyncStub


@dataclass
class Provider:
    """A running provider with its operator's stubs."""

    server: Server
    organizations: "OrganizationServiceAsyncStub"
    seats: "SeatServiceAsyncStub"
    terms: "TermsServiceAsyncStub"
    license: "LicenseServiceAsyncStub"

    async def host(
        self, identity: Identity, seats: int = 3
    ) -> organization_pb.CreateOrganizationResponse:
        organization = organization_pb.Organization(
            id=str(uuid.uuid4()),
            name=f"Acme {uuid.uuid4()}",
            hosted=True,
            customer_guid=identity.guid,
            maximum_seats=seats,
        )
        organization.disk_quota.unlimited.SetInParent()
        request = organization_pb.CreateOrganizationRequest(
            organization=organization, accept_terms=True
        )
        answer: organization_pb.CreateOrganizationResponse = (
            await self.organizations.CreateOrganization(request)
        )
        return answer


@dataclass
class Peer:
    """A customer's server with a session."""

    attachments: "AttachmentServiceAsyncStub"
    seats: "SeatServiceAsyncStub"
    organization_id: str = ""
    epoch: int = 0

    async def acquire(self, device: str, generation: int = 1) -> seat_pb.AcquireSeatResponse:
        answer: seat_pb.AcquireSeatResponse = await self.seats.AcquireSeat(
            seat_pb.AcquireSeatRequest(
                epoch=self.epoch,
                device_guid=device,
                device_name="laptop",
                generation=generation,
            )
        )
        return answer


@pytest.fixture
async def provider(tmp_path: Path) -> AsyncIterator[Provider]:
    settings = local_settings("offsite-provider", tmp_path / "provider")
    async with (
        running(provider_service.app.build, settings) as server,
        channel(server, operator_token(server)) as operator,
    ):
        yield Provider(
            server,
            OrganizationServiceStub(operator),
            SeatServiceStub(operator),
            TermsServiceStub(operator),
            LicenseServiceStub(operator),
        )


@pytest.fixture
async def peer(provider: Provider) -> AsyncIterator[Peer]:
    identity = Identity.create()
    token = peer_token.issue(identity, provider.server.guid, now())
    async with channel(provider.server, token) as connection:
        peer = Peer(AttachmentServiceStub(connection), SeatServiceStub(connection))
        hosted = await provider.host(identity)
        attached = await peer.attachments.Attach(
            attachment_pb.AttachRequest(registration_key=hosted.registration_key.lower())
        )
        opened = await peer.seats.OpenSession(
            seat_pb.OpenSessionRequest(epoch=attached.epoch, nonce=str(uuid.uuid4()))
        )
        peer.organization_id, peer.epoch = hosted.organization.id, opened.epoch
        yield peer


async def refusal(call: Awaitable[Message]) -> OffsiteError:
    with pytest.raises(grpc.RpcError) as caught:
        await call
    return error_of(caught.value)


async def test_a_seat_is_taken_with_credential_and_archive_and_given_back(
    provider: Provider, peer: Peer
) -> None:
    device = str(uuid.uuid4())
    taken = await peer.acquire(device)
    assert taken.seat.state == seat_pb.SEAT_STATE_HELD
    assert taken == await peer.acquire(device)
    https = provider.server.https_address
    assert taken.archive_url == (f"rest:https://{https}/archives/{peer.organization_id}/{device}/")
    assert (await peer.acquire(device, 2)).storage_credential != taken.storage_credential
    released = await peer.seats.ReleaseSeat(
        seat_pb.ReleaseSeatRequest(epoch=peer.epoch, device_guid=device, generation=3)
    )
    assert (released.seat.state, released.position) == (seat_pb.SEAT_STATE_RELEASED, 3)


async def test_the_maximum_is_never_exceeded_by_requests_at_once(
    provider: Provider, peer: Peer
) -> None:
    outcomes = await asyncio.gather(
        *(peer.acquire(str(uuid.uuid4())) for _ in range(20)), return_exceptions=True
    )
    refused = [error_of(each) for each in outcomes if isinstance(each, grpc.RpcError)]
    assert len(refused) == 17
    assert {each.reason for each in refused} == {Reason.SEAT_LIMIT_REACHED}
    use = await provider.license.ListLicenseUse(ListLicenseUseRequest())
    assert [each.seats_in_use for each in use.organizations] == [3]


async def test_both_sides_compare_by_digest_and_list(peer: Peer) -> None:
    devices = sorted(str(uuid.uuid4()) for _ in range(3))
    for device in devices:
        await peer.acquire(device)
    digest = hashlib.sha256("".join(f"{each}:1\n" for each in devices).encode()).digest()
    compared = await peer.seats.ReconcileSeats(
        seat_pb.ReconcileSeatsRequest(epoch=peer.epoch, digest=digest)
    )
    assert (compared.matches, compared.seat_count) == (True, 3)
    page = await peer.seats.ListSeats(seat_pb.ListSeatsRequest(epoch=peer.epoch, page_size=2))
    rest = await peer.seats.ListSeats(
        seat_pb.ListSeatsRequest(epoch=peer.epoch, page_token=page.next_page_token)
    )
    assert [seat.device_guid for seat in (*page.seats, *rest.seats)] == devices


async def test_revoking_and_restoring_a_seat(provider: Provider, peer: Peer) -> None:
    device = str(uuid.uuid4())
    await peer.acquire(device)
    names = {"organization_id": peer.organization_id, "device_guid": device}
    revoked = await provider.seats.RevokeSeat(seat_pb.RevokeSeatRequest(**names, reason="stolen"))
    assert revoked.seat.state == seat_pb.SEAT_STATE_REVOKED
    with pytest.raises(grpc.RpcError) as caught:
        await peer.acquire(device, 2)
    assert error_of(caught.value).reason is Reason.SEAT_REVOKED
    await provider.seats.RestoreSeat(seat_pb.RestoreSeatRequest(**names))
    assert (await peer.acquire(device, 3)).seat.state == seat_pb.SEAT_STATE_HELD


async def test_a_preview_counts_and_changes_nothing(provider: Provider, peer: Peer) -> None:
    await peer.acquire(str(uuid.uuid4()))
    detached = await provider.organizations.DetachOrganization(
        organization_pb.DetachOrganizationRequest(
            organization_id=peer.organization_id, validate_only=True
        )
    )
    deactivated = await provider.organizations.DeactivateOrganization(
        organization_pb.DeactivateOrganizationRequest(
            organization_id=peer.organization_id, validate_only=True
        )
    )
    assert (detached.impact.seats, deactivated.impact.seats) == (1, 1)
    changed = await provider.organizations.ChangeCustomerGuid(
        organization_pb.ChangeCustomerGuidRequest(
            organization_id=peer.organization_id,
            customer_guid=Identity.create().guid,
            validate_only=True,
        )
    )
    assert (changed.registration_key, changed.impact.devices) == ("", 1)
    entitlement = await peer.attachments.GetEntitlement(attachment_pb.GetEntitlementRequest())
    assert entitlement.entitlement.seats_in_use == 1


async def test_deactivation_ends_the_attachment_for_good(provider: Provider, peer: Peer) -> None:
    await provider.organizations.DeactivateOrganization(
        organization_pb.DeactivateOrganizationRequest(organization_id=peer.organization_id)
    )
    told = await refusal(peer.attachments.GetEntitlement(attachment_pb.GetEntitlementRequest()))
    assert told.reason is Reason.ATTACHMENT_ENDED
    detached = await peer.attachments.Detach(attachment_pb.DetachRequest())
    assert detached.seats_released == 0


async def test_an_update_changes_what_the_mask_names_alone(provider: Provider, peer: Peer) -> None:
    organization = organization_pb.Organization(id=peer.organization_id, maximum_seats=7)
    organization.contact.email = "it@acme.test"
    updated = await provider.organizations.UpdateOrganization(
        organization_pb.UpdateOrganizationRequest(
            organization=organization,
            update_mask=FieldMask(paths=["maximum_seats", "contact.email"]),
        )
    )
    assert updated.organization.maximum_seats == 7
    assert updated.organization.contact.email == "it@acme.test"
    assert updated.organization.hosted
    assert updated.organization.disk_quota.HasField("unlimited")


@pytest.mark.parametrize("paths", [[], ["state"], ["name", "no_such_field"], ["contact.no"]])
async def test_a_mask_that_names_what_can_not_be_changed_is_refused(
    provider: Provider, peer: Peer, paths: list[str]
) -> None:
    told = await refusal(
        provider.organizations.UpdateOrganization(
            organization_pb.UpdateOrganizationRequest(
                organization=organization_pb.Organization(id=peer.organization_id, name="x"),
                update_mask=FieldMask(paths=paths),
            )
        )
    )
    assert isinstance(told, InvalidArgument)
    assert [each.field for each in told.violations] == ["update_mask"]


async def test_every_field_of_a_create_out_of_bounds_is_named(provider: Provider) -> None:
    organization = organization_pb.Organization(
        id="x", name="a\x00b", hosted=True, customer_guid="?", maximum_seats=-1
    )
    organization.disk_quota.bytes = -1
    organization.contact.email = "nobody"
    told = await refusal(
        provider.organizations.CreateOrganization(
            organization_pb.CreateOrganizationRequest(
                organization=organization, registration_key_lifetime_seconds=-1
            )
        )
    )
    assert isinstance(told, InvalidArgument)
    assert {each.field for each in told.violations} >= {
        "organization.id",
        "organization.name",
        "organization.customer_guid",
        "organization.maximum_seats",
        "organization.disk_quota.bytes",
        "organization.contact.email",
        "registration_key_lifetime_seconds",
    }


async def test_terms_have_a_default_and_organizations_keep_what_was_accepted(
    provider: Provider,
) -> None:
    before = (await provider.terms.GetTerms(terms_pb.GetTermsRequest())).terms
    hosted = await provider.host(Identity.create())
    after = await provider.terms.UpdateTerms(terms_pb.UpdateTermsRequest(text="Pay on time.\n"))
    assert after.terms.version != before.version
    shown = await provider.organizations.GetOrganization(
        organization_pb.GetOrganizationRequest(organization_id=hosted.organization.id)
    )
    assert shown.organization.terms_version == before.version


async def test_an_operator_is_no_peer_and_a_peer_no_operator(
    provider: Provider, peer: Peer
) -> None:
    as_operator = await refusal(
        provider.seats.ListSeats(seat_pb.ListSeatsRequest(epoch=peer.epoch))
    )
    as_peer = await refusal(
        peer.seats.ListOrganizationSeats(
            seat_pb.ListOrganizationSeatsRequest(organization_id=peer.organization_id)
        )
    )
    assert {as_operator.reason, as_peer.reason} == {Reason.ROLE_NOT_ALLOWED}


async def test_monitoring_sees_organizations_and_their_seats(
    provider: Provider, peer: Peer
) -> None:
    await peer.acquire(str(uuid.uuid4()))
    metrics = provider.server.ground.metrics
    text = (await metrics.scrape(of_organizations=True)).decode()
    label = f'{{organization_id="{peer.organization_id}"}}'
    assert f"offsite_organization_seats_in_use{label} 1.0" in text
    assert f"offsite_organization_maximum_seats{label} 3.0" in text
    assert 'offsite_organizations{state="active"} 1.0' in text
    assert peer.organization_id not in (await metrics.scrape()).decode()


async def test_a_backup_restored_elsewhere_is_the_same_server_and_rewound(
    provider: Provider, peer: Peer, tmp_path: Path
) -> None:
    file = tmp_path / "backup"
    settings = provider.server.ground.settings
    await asyncio.to_thread(provider_service.app.backup, settings, file)
    elsewhere = local_settings("offsite-provider", tmp_path / "elsewhere")
    await asyncio.to_thread(provider_service.app.restore, elsewhere, file, False)
    async with (
        running(provider_service.app.build, elsewhere) as server,
        channel(server, operator_token(server)) as operator,
    ):
        assert server.guid == provider.server.guid
        shown = await OrganizationServiceStub(operator).GetOrganization(
            organization_pb.GetOrganizationRequest(organization_id=peer.organization_id)
        )
        assert shown.organization.attachment_state == organization_pb.ATTACHMENT_STATE_REWOUND
        assert shown.organization.rewound_confirmed
        assert list(shown.organization.problems) == [organization_pb.PROBLEM_REWOUND]
