"""The provider's composition root: settings in, a running server out."""

from offsite.common.v1.server_service_pb2 import ServerKind
from offsite.provider.v1.attachment_service_pb2_grpc import add_AttachmentServiceServicer_to_server
from offsite.provider.v1.hosted_archive_service_pb2_grpc import (
    add_HostedArchiveServiceServicer_to_server,
)
from offsite.provider.v1.organization_service_pb2_grpc import (
    add_OrganizationServiceServicer_to_server,
)
from offsite.provider.v1.seat_service_pb2_grpc import add_SeatServiceServicer_to_server
from offsite.provider.v1.terms_service_pb2_grpc import add_TermsServiceServicer_to_server

from archive_gateway.app import Archive
from provider_service.operations import organizations, restoring, seats, statistics
from provider_service.operations.tenancy import ProviderTenancy
from provider_service.rpc.access import PROVIDER_ACCESS
from provider_service.rpc.attachment_service import AttachmentServicer
from provider_service.rpc.hosted_archive_service import HostedArchiveServicer
from provider_service.rpc.organization_service import OrganizationServicer
from provider_service.rpc.seat_service import SeatServicer
from provider_service.rpc.terms_service import TermsServicer
from service_kit import logs
from service_kit.common_services import common_services
from service_kit.database.batching import Batcher
from service_kit.server.access import COMMON_ACCESS
from service_kit.server.first_start import Ground, first_start
from service_kit.server.maintenance import Maintenance
from service_kit.server.process import RpcService, Server, run_server
from service_kit.settings import ServerSettings

KIND = "provider"
MIGRATIONS = "provider_service.store.migrations"


def build(settings: ServerSettings) -> Server:
    """A server on this data, made at the first start; it does not listen yet.

    Raises:
        Conflict: DATA_IN_USE, SCHEMA_NEWER or IDENTITY_UNREADABLE.
        InvalidArgument: `archive` names no place for backups.
        Unavailable: the database can't be reached.
    """
    ground = first_start(settings, MIGRATIONS)
    batcher = Batcher(ground.database, seats.apply_batch)
    archive = Archive(ground, ProviderTenancy())
    _measure(ground)
    services = [
        RpcService(
            "offsite.provider.v1.OrganizationService",
            add_OrganizationServiceServicer_to_server,
            OrganizationServicer(ground.database, ground.identity),
        ),
        RpcService(
            "offsite.provider.v1.TermsService",
            add_TermsServiceServicer_to_server,
            TermsServicer(ground.database),
        ),
        RpcService(
            "offsite.provider.v1.AttachmentService",
            add_AttachmentServiceServicer_to_server,
            AttachmentServicer(ground),
        ),
        RpcService(
            "offsite.provider.v1.SeatService",
            add_SeatServiceServicer_to_server,
            SeatServicer(ground, batcher),
        ),
        RpcService(
            "offsite.provider.v1.HostedArchiveService",
            add_HostedArchiveServiceServicer_to_server,
            HostedArchiveServicer(ground, archive.tenancy),
        ),
        *archive.services,
        *common_services(
            ground,
            ServerKind.SERVER_KIND_PROVIDER,
            seats_in_use=statistics.seats_in_use,
            organization_use=organizations.license_use,
        ),
    ]
    return Server(
        ground,
        services,
        {**COMMON_ACCESS, **PROVIDER_ACCESS, **archive.access},
        loops=archive.loops,
        routes=[archive.routes],
        openers=[archive.open],
        closers=[batcher.drain, archive.close],
    )


def serve(settings: ServerSettings) -> None:
    """Run a server until SIGTERM or SIGINT, then drain.

    Raises:
        OffsiteError: it can't start.
    """
    logs.set_up(settings.log_level, settings.log_format)
    run_server(settings, build)


_MAINTENANCE = Maintenance(KIND, MIGRATIONS, restoring.mark_restored)
migrate = _MAINTENANCE.migrate
backup = _MAINTENANCE.backup
restore = _MAINTENANCE.restore


def _measure(ground: Ground) -> None:
    """Register the provider's gauges, read at each scrape."""
    metrics, read = ground.metrics, ground.database.read
    metrics.sampled_each(
        "offsite_organizations",
        "Organizations.",
        ("state",),
        lambda: read(statistics.organizations_by_state),
    )
    metrics.sampled_of_organizations(
        "offsite_organization_seats_in_use",
        "Seats in use of a hosted organization.",
        lambda: read(statistics.seats_in_use_by_organization),
    )
    metrics.sampled_of_organizations(
        "offsite_organization_maximum_seats",
        "Maximum seats of a hosted organization.",
        lambda: read(statistics.maximum_seats_by_organization),
    )
