"""A server's audit, as its operator reads it."""

from collections.abc import Sequence

import grpc.aio
from offsite.common.v1.audit_service_pb2 import AuditEvent, AuditFilter, ListAuditEventsRequest
from offsite.common.v1.audit_service_pb2_grpc import AuditServiceStub


async def events(channel: grpc.aio.Channel, kind: str) -> Sequence[AuditEvent]:
    """The first events of a kind, newest first."""
    request = ListAuditEventsRequest(filter=AuditFilter(kind=kind))
    return (await AuditServiceStub(channel).ListAuditEvents(request)).events
