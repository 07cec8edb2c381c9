"""grpcurl against both real servers, as the README says, by reflection alone."""

import json

import pytest

from tests.support.desk import Desk

OWN = {
    "provider": {"AttachmentService", "OrganizationService", "SeatService", "TermsService"},
    "customer": {
        *("DestinationService", "DeviceService", "OrganizationService", "StorageService"),
        "UserService",
    },
}


def _compact(text: str) -> str:
    """Without the space that differs between grpcurl's versions."""
    return "".join(text.split())


@pytest.mark.parametrize("name", ["provider", "customer"])
def test_services_are_listed_and_described(desk: Desk, name: str) -> None:
    server = getattr(desk, name)
    listed = desk.grpcurl(server, server.address, "list").split()
    for service in OWN[name]:
        assert f"offsite.{name}.v1.{service}" in listed
    for service in ("AuditService", "LicenseService", "ServerService", "TokenService"):
        assert f"offsite.common.v1.{service}" in listed
    service = f"offsite.{name}.v1.OrganizationService"
    assert "rpc GetOrganization" in desk.grpcurl(server, server.address, "describe", service)


def test_a_server_proves_its_guid_as_authority_at_any_address(desk: Desk) -> None:
    server = desk.provider
    call = ("-d", "{}", server.address, "offsite.common.v1.ServerService/GetServerIdentity")

    def called_as(guid: str) -> str:
        return desk.grpcurl(server, "-authority", f"{guid}.offsite.internal", *call)

    assert json.loads(called_as(server.guid))["guid"] == server.guid
    assert "certificate is valid for" in called_as(desk.customer.guid)


def test_a_refusal_is_decoded_with_reason_and_field(desk: Desk) -> None:
    for name, server in (("provider", desk.provider), ("customer", desk.customer)):
        method = f"offsite.{name}.v1.OrganizationService/GetOrganization"
        told = desk.grpcurl(server, "-d", '{"organization_id": "no id"}', server.address, method)
        assert "Code: InvalidArgument" in told
        assert "google.rpc.ErrorInfo" in told
        for detail in (
            '"reason":"INVALID_FIELD"',
            '"domain":"offsite"',
            '"field":"organization_id"',
        ):
            assert detail in _compact(told)


def test_a_call_without_a_good_token_is_refused(desk: Desk) -> None:
    method = "offsite.provider.v1.OrganizationService/ListOrganizations"
    told = desk.grpcurl(desk.provider, desk.provider.address, method, token="offs_WRONG")
    assert "Code: Unauthenticated" in told
    assert '"CREDENTIALS_INVALID"' in told


def test_a_peer_token_asks_the_provider_for_the_entitlement(desk: Desk) -> None:
    desk.run(
        "offsite-provider org add Acme --hosted --customer-guid CUSTOMER_GUID --max-seats 5"
        " --disk-quota 10GB --accept-terms"
    )
    key = desk.run("offsite-provider org rotate-key Acme --quiet")
    attach = "offsite-customer storage attach --name Offsite --hostname H:P --guid PROVIDER_GUID"
    desk.run(attach, given=key)
    peer = desk.run("offsite-customer token peer --audience PROVIDER_GUID").strip()
    method = "offsite.provider.v1.AttachmentService/GetEntitlement"
    call = ("-d", "{}", desk.provider.address, method)
    entitlement = json.loads(desk.grpcurl(desk.provider, *call, token=peer))
    assert json.dumps(entitlement).count('"Acme"') == 1
    assert '"ROLE_NOT_ALLOWED"' in desk.grpcurl(desk.provider, *call)
