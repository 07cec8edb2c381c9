"""The services that both servers have, over the wire."""

import asyncio
from datetime import timedelta
from typing import cast

import grpc.aio
import pytest
from offsite.common.v1.audit_service_pb2 import (
    AuditFilter,
    FollowAuditEventsRequest,
    FollowAuditEventsResponse,
    ListAuditEventsRequest,
)
from offsite.common.v1.audit_service_pb2_grpc import AuditServiceStub
from offsite.common.v1.license_service_pb2 import (
    GetLicenseRequest,
    ListLicenseUseRequest,
    UpdateLicenseRequest,
)
from offsite.common.v1.license_service_pb2_grpc import LicenseServiceStub
from offsite.common.v1.server_service_pb2 import GetServerIdentityRequest
from offsite.common.v1.server_service_pb2_grpc import ServerServiceStub
from offsite.common.v1.token_service_pb2 import (
    CreateTokenRequest,
    ListTokensRequest,
    RevokeTokenRequest,
    TokenRole,
)
from offsite.common.v1.token_service_pb2_grpc import TokenServiceStub

from service_kit.client.status import error_of
from service_kit.clock import now
from service_kit.conversions import to_timestamp
from service_kit.errors import InvalidArgument, Unauthenticated, Unavailable
from service_kit.ledger import audit
from service_kit.reasons import Reason
from service_kit.server import authenticator
from service_kit.server.process import Server
from tests.support.servers import channel


async def test_the_identity_is_told_to_anybody(server: Server, stranger: grpc.aio.Channel) -> None:
    answer = await ServerServiceStub(stranger).GetServerIdentity(GetServerIdentityRequest())
    assert answer.guid == server.guid
    assert answer.identity_ca_pem.encode() == server.ground.identity.ca_pem
    assert list(answer.grpc_addresses) == [server.grpc_address]
    assert list(answer.https_addresses) == [server.https_address]


async def test_a_new_server_has_25_seats_and_takes_another_number(
    operator: grpc.aio.Channel,
) -> None:
    stub = LicenseServiceStub(operator)
    before = await stub.GetLicense(GetLicenseRequest())
    after = await stub.UpdateLicense(UpdateLicenseRequest(seats=500))
    assert (before.license.seats, after.license.seats) == (25, 500)


async def test_a_license_out_of_bounds_names_its_field(operator: grpc.aio.Channel) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await LicenseServiceStub(operator).UpdateLicense(UpdateLicenseRequest(seats=-1))
    error = error_of(refused.value)
    assert isinstance(error, InvalidArgument)
    assert [each.field for each in error.violations] == ["seats"]


async def test_license_use_is_what_the_service_counts(operator: grpc.aio.Channel) -> None:
    answer = await LicenseServiceStub(operator).ListLicenseUse(ListLicenseUseRequest())
    (use,) = answer.organizations
    assert (use.organization_id, use.organization_name, use.seats_in_use) == ("id-1", "Acme", 3)


async def test_a_token_works_until_it_is_revoked(
    server: Server, operator: grpc.aio.Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(authenticator, "PERSON_SECONDS", 0.0)
    tokens = TokenServiceStub(operator)
    created = await tokens.CreateToken(
        CreateTokenRequest(name="monitoring", role=TokenRole.TOKEN_ROLE_READ_ONLY)
    )
    async with channel(server, created.secret) as reader:
        licenses = LicenseServiceStub(reader)
        assert (await licenses.GetLicense(GetLicenseRequest())).license.seats == 25
        revoked = await tokens.RevokeToken(RevokeTokenRequest(name="monitoring"))
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await licenses.GetLicense(GetLicenseRequest())
    assert revoked.token.HasField("revoke_time")
    assert isinstance(error_of(refused.value), Unauthenticated)


async def test_tokens_are_listed_without_their_secrets(operator: grpc.aio.Channel) -> None:
    tokens = TokenServiceStub(operator)
    expire_time = to_timestamp(now() + timedelta(days=90))
    role = TokenRole.TOKEN_ROLE_READ_ONLY
    created = await tokens.CreateToken(
        CreateTokenRequest(name="monitoring", role=role, expire_time=expire_time)
    )
    answer = await tokens.ListTokens(ListTokensRequest())
    assert [each.name for each in answer.tokens] == ["monitoring", "operator"]
    assert answer.tokens[0].expire_time == expire_time
    assert created.secret not in str(answer)


async def test_a_token_without_a_role_or_with_a_wrong_time_names_the_field(
    operator: grpc.aio.Channel,
) -> None:
    tokens = TokenServiceStub(operator)
    without_role = CreateTokenRequest(name="a")
    wrong_time = CreateTokenRequest(name="a", role=TokenRole.TOKEN_ROLE_OPERATOR)
    wrong_time.expire_time.seconds = 2**62
    for request, field in ((without_role, "role"), (wrong_time, "expire_time")):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await tokens.CreateToken(request)
        error = error_of(refused.value)
        assert isinstance(error, InvalidArgument)
        assert [each.field for each in error.violations] == [field]


async def test_the_audit_names_the_token_that_acted(operator: grpc.aio.Channel) -> None:
    await LicenseServiceStub(operator).UpdateLicense(UpdateLicenseRequest(seats=30))
    answer = await AuditServiceStub(operator).ListAuditEvents(
        ListAuditEventsRequest(filter=AuditFilter(kind="license."))
    )
    assert [(each.kind, each.actor) for each in answer.events] == [
        ("license.updated", "token:operator")
    ]


async def test_an_audit_filter_out_of_bounds_names_its_field(operator: grpc.aio.Channel) -> None:
    wrong = AuditFilter(organization_id="Acme")
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await AuditServiceStub(operator).ListAuditEvents(ListAuditEventsRequest(filter=wrong))
    error = error_of(refused.value)
    assert isinstance(error, InvalidArgument)
    assert [each.field for each in error.violations] == ["filter.organization_id"]


async def test_followers_get_new_events_of_this_replica_and_of_others(
    server: Server, operator: grpc.aio.Channel
) -> None:
    following = AuditServiceStub(operator).FollowAuditEvents(
        FollowAuditEventsRequest(filter=AuditFilter(kind="license.updated"))
    )
    await following.initial_metadata()
    await LicenseServiceStub(operator).UpdateLicense(UpdateLicenseRequest(seats=30))
    mine = cast("FollowAuditEventsResponse", await following.read())
    # Written past this server's calls, as another replica would.
    await server.ground.database.run(audit.record, "license.updated", subject="other", now=now())
    other = cast("FollowAuditEventsResponse", await following.read())
    assert (mine.event.actor, other.event.subject) == ("token:operator", "other")
    following.cancel()


async def test_a_follower_is_told_when_the_server_drains(
    server: Server, operator: grpc.aio.Channel
) -> None:
    following = AuditServiceStub(operator).FollowAuditEvents(FollowAuditEventsRequest())
    await following.initial_metadata()
    stopping = asyncio.create_task(server._grpc.stop(timedelta(seconds=10)))
    with pytest.raises(grpc.aio.AioRpcError) as ended:
        await following.read()
    await stopping
    error = error_of(ended.value)
    assert isinstance(error, Unavailable)
    assert error.reason is Reason.UNAVAILABLE
