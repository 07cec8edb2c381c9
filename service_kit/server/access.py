"""Who may call what: every method of a server stands in one table, by its full name."""

from collections.abc import Mapping
from typing import TypeAlias

from service_kit.server.caller import Role

Roles: TypeAlias = frozenset[Role]
AccessTable: TypeAlias = Mapping[str, Roles]

OPEN: Roles = frozenset({Role.OPEN})
READ: Roles = frozenset({Role.OPERATOR, Role.READ_ONLY})
CHANGE: Roles = frozenset({Role.OPERATOR})
PEER: Roles = frozenset({Role.PEER})
DEVICE: Roles = frozenset({Role.DEVICE})


def methods(service: str, **roles: Roles) -> dict[str, Roles]:
    """Table rows of one service: a method's name and who may call it."""
    return {f"/{service}/{method}": allowed for method, allowed in roles.items()}


COMMON_ACCESS: AccessTable = {
    **methods("offsite.common.v1.ServerService", GetServerIdentity=OPEN),
    **methods("offsite.common.v1.AuditService", ListAuditEvents=READ, FollowAuditEvents=READ),
    **methods(
        "offsite.common.v1.TokenService", CreateToken=CHANGE, ListTokens=READ, RevokeToken=CHANGE
    ),
    **methods(
        "offsite.common.v1.LicenseService",
        GetLicense=READ,
        UpdateLicense=CHANGE,
        ListLicenseUse=READ,
    ),
    **methods("grpc.health.v1.Health", Check=OPEN, List=OPEN, Watch=OPEN),
    **methods("grpc.reflection.v1alpha.ServerReflection", ServerReflectionInfo=OPEN),
}
