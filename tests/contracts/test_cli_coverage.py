"""Every RPC has a command, or a reason why it has none."""

import importlib
import pkgutil
from collections.abc import Iterator

import offsite.common.v1
import offsite.customer.v1
import offsite.provider.v1
import pytest
from cyclopts import App
from google.protobuf.descriptor import MethodDescriptor

import customer_service.cli
import device_agent.cli
import provider_service.cli

PROVIDER, CUSTOMER = provider_service.cli.app, customer_service.cli.app
PEER = "for the customer's server alone"
DEVICE = "for a computer's own program alone"

COMMON = {
    "GetServerIdentity": "identity",
    "ListAuditEvents": "audit list",
    "FollowAuditEvents": "audit list",
    "CreateToken": "token create",
    "ListTokens": "token list",
    "RevokeToken": "token revoke",
    "GetLicense": "license show",
    "UpdateLicense": "license set",
    "ListLicenseUse": "license show",
    "GetArchive": "archive show",
    "UndeleteArchive": "archive undelete",
    "PurgeArchive": "archive purge",
    "AllowPrune": "archive allow-prune",
    "CreateGrant": "archive grant",
    "ListGrants": "archive grants",
    "RevokeGrant": "archive revoke-grant",
    "ScrubArchive": "archive scrub",
    "RebuildArchive": "archive rebuild",
    "GetUsage": "usage show",
    "ListUsage": "usage show",
    "ListDeviceUsage": "usage show",
}
OF_PROVIDER = {
    "CreateOrganization": "org add",
    "GetOrganization": "org show",
    "ListOrganizations": "org list",
    "UpdateOrganization": "org update",
    "SuspendOrganization": "org suspend",
    "ResumeOrganization": "org resume",
    "DeactivateOrganization": "org deactivate",
    "ReactivateOrganization": "org reactivate",
    "RotateRegistrationKey": "org rotate-key",
    "ChangeCustomerGuid": "org change-guid",
    "DetachOrganization": "org detach",
    "ConfirmRewound": "org confirm-rewound",
    "GetTerms": "terms show",
    "UpdateTerms": "terms set",
    "ListOrganizationSeats": "seat list",
    "RevokeSeat": "seat revoke",
    "RestoreSeat": "seat restore",
}
OF_CUSTOMER = {
    "TestStorage": "storage test",
    "AttachStorage": "storage attach",
    "GetStorage": "storage show",
    "ListStorages": "storage list",
    "UpdateStorage": "storage update",
    "ChangeProviderGuid": "storage change-guid",
    "DetachStorage": "storage detach",
    "ResumeAttach": "storage resume",
    "TakeOverStorage": "storage takeover",
    "ListUnclaimedSeats": "storage unclaimed",
    "AdoptSeats": "storage adopt",
    "CreateStorageGrant": "archive grant",
    "CreateOrganization": "org add",
    "GetOrganization": "org show",
    "ListOrganizations": "org list",
    "UpdateOrganization": "org update",
    "DeactivateOrganization": "org deactivate",
    "ReactivateOrganization": "org reactivate",
    "GetDefaultDestinations": "destination show",
    "PreviewDefaultDestinations": "destination add",
    "SetDefaultDestinations": "destination set",
    "CreateUser": "user add",
    "GetUser": "user show",
    "ListUsers": "user list",
    "UpdateUser": "user update",
    "BlockUser": "user block",
    "UnblockUser": "user unblock",
    "DeactivateUser": "user deactivate",
    "ReactivateUser": "user reactivate",
    "SetUserDestinations": "user destinations",
    "RegisterDevice": "device add",
    "GetDevice": "device show",
    "ListDevices": "device list",
    "RenameDevice": "device rename",
    "DeactivateDevice": "device deactivate",
    "ReactivateDevice": "device reactivate",
    "UseDestination": "device use",
    "StopUsingDestination": "device stop",
    "DeauthorizeDevice": "device deauthorize",
    "ReplaceDevice": "device replace",
    "CreateEnrollmentCode": "device enroll-code",
    "CreateRecoveryKey": "recovery-key create",
    "GetRecoveryKey": "recovery-key show",
}
OF_DEVICES = {
    "EnrollDevice": "enroll",
    "GetEnrolledDevice": "status",
    "OpenArchive": "backup",
    "UnenrollDevice": "unenroll",
}
WITHOUT = dict.fromkeys(OF_DEVICES, DEVICE) | dict.fromkeys(
    (
        "ValidateRegistrationKey",
        "Attach",
        "Detach",
        "GetEntitlement",
        "OpenSession",
        "AcquireSeat",
        "ReleaseSeat",
        "ListSeats",
        "ReconcileSeats",
        "ResyncSeats",
        "GetHostedUsage",
        "CreateHostedGrant",
    ),
    PEER,
)


def methods(package: object) -> Iterator[MethodDescriptor]:
    """Every RPC of a package of protos."""
    for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):  # type: ignore[attr-defined]
        if module.name.endswith("_service_pb2"):
            descriptor = importlib.import_module(module.name).DESCRIPTOR
            for service in descriptor.services_by_name.values():
                yield from service.methods


@pytest.mark.parametrize(
    ("app", "package", "commands"),
    [
        (PROVIDER, offsite.provider.v1, OF_PROVIDER),
        (CUSTOMER, offsite.customer.v1, OF_CUSTOMER),
        (PROVIDER, offsite.common.v1, COMMON),
        (CUSTOMER, offsite.common.v1, COMMON),
    ],
    ids=["provider", "customer", "common of the provider", "common of the customer"],
)
def test_every_rpc_has_a_command(app: App, package: object, commands: dict[str, str]) -> None:
    names = [method.name for method in methods(package)]
    assert names
    for name in names:
        assert (name in commands) != (package is not offsite.common.v1 and name in WITHOUT), name
    assert set(commands) <= set(names)
    for command in commands.values():
        _, _, unused = app.parse_commands(command.split())
        assert not unused, command


def test_every_rpc_of_a_computers_program_has_a_command_there() -> None:
    service = importlib.import_module("offsite.customer.v1.agent_service_pb2").DESCRIPTOR
    (methods_,) = [each.methods for each in service.services_by_name.values()]
    assert {each.name for each in methods_} == set(OF_DEVICES)
    for command in OF_DEVICES.values():
        assert not device_agent.cli.app.parse_commands([command])[2], command


@pytest.mark.parametrize("app", [PROVIDER, CUSTOMER], ids=["provider", "customer"])
def test_both_have_the_commands_of_the_servers_own_machine(app: App) -> None:
    for command in ("serve", "migrate", "backup", "restore", "health", "env"):
        _, _, unused = app.parse_commands([command])
        assert not unused, command


def test_only_a_customer_proves_itself_to_a_peer_by_hand() -> None:
    assert not CUSTOMER.parse_commands(["token", "peer"])[2]
    assert PROVIDER.parse_commands(["token", "peer"])[2]
