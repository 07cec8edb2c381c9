"""The customer's composition root: settings in, a running server out."""

import uuid

from offsite.common.v1.server_service_pb2 import ServerKind
from offsite.customer.v1.agent_service_pb2_grpc import add_AgentServiceServicer_to_server
from offsite.customer.v1.destination_service_pb2_grpc import (
    add_DestinationServiceServicer_to_server,
)
from offsite.customer.v1.device_service_pb2_grpc import add_DeviceServiceServicer_to_server
from offsite.customer.v1.organization_service_pb2_grpc import (
    add_OrganizationServiceServicer_to_server,
)
from offsite.customer.v1.recovery_service_pb2_grpc import add_RecoveryServiceServicer_to_server
from offsite.customer.v1.storage_service_pb2_grpc import add_StorageServiceServicer_to_server
from offsite.customer.v1.user_service_pb2_grpc import add_UserServiceServicer_to_server

from archive_gateway.app import Archive
from customer_service.background.outbox import Outbox
from customer_service.background.upkeep import Upkeep
from customer_service.operations import organizations, restoring, storages
from customer_service.operations.archives import Archives
from customer_service.operations.grants import Grants
from customer_service.operations.tenancy import CustomerTenancy
from customer_service.provider_client import Dialler
from customer_service.rpc.access import CUSTOMER_ACCESS
from customer_service.rpc.agent import AgentServicer
from customer_service.rpc.destinations import DestinationServicer
from customer_service.rpc.devices import DeviceServicer
from customer_service.rpc.organizations import OrganizationServicer
from customer_service.rpc.recovery import RecoveryServicer
from customer_service.rpc.storages import StorageServicer
from customer_service.rpc.users import UserServicer
from service_kit.clock import now
from service_kit.common_services import common_services
from service_kit.database.engine import Transaction
from service_kit.ledger import license
from service_kit.server.access import COMMON_ACCESS
from service_kit.server.first_start import Ground, first_start
from service_kit.server.maintenance import Maintenance
from service_kit.server.process import Loop, RpcService, Server, run_server
from service_kit.settings import ServerSettings

KIND = "customer"
MIGRATIONS = "customer_service.store.migrations"


def build(settings: ServerSettings, organization: str = "Company") -> Server:
    """A server on this data, made at the first start; it does not listen yet.

    Raises:
        Conflict: DATA_IN_USE, SCHEMA_NEWER or IDENTITY_UNREADABLE.
        InvalidArgument: the organization's name is out of bounds, or `archive` names no place.
        Unavailable: the database can't be reached.
    """
    ground = first_start(settings, MIGRATIONS)
    ground.database.run_sync(_ensure_root_and_local, organization)
    dial = Dialler(ground.identity, lambda: ground.advertised.grpc)
    outbox = Outbox(ground.database, dial)
    upkeep = Upkeep(ground.database, dial, ground.identity)
    archive = Archive(ground, CustomerTenancy())
    services = [
        *_services(ground, dial, outbox, upkeep),
        *archive.services,
        *common_services(
            ground,
            ServerKind.SERVER_KIND_CUSTOMER,
            seats_in_use=organizations.seats_in_use,
            organization_use=organizations.license_use,
        ),
    ]
    return Server(
        ground,
        services,
        {**COMMON_ACCESS, **CUSTOMER_ACCESS, **archive.access},
        loops=[Loop("outbox", outbox.run), Loop("upkeep", upkeep.run), *archive.loops],
        routes=[archive.routes],
        openers=[archive.open],
        closers=[outbox.close, dial.close, archive.close],
    )


def serve(settings: ServerSettings, organization: str = "Company") -> None:
    """Run a server until SIGTERM or SIGINT, then drain.

    Raises:
        OffsiteError: it can't start.
    """
    run_server(settings, lambda settings: build(settings, organization))


_MAINTENANCE = Maintenance(KIND, MIGRATIONS, restoring.mark_restored)
migrate = _MAINTENANCE.migrate
backup = _MAINTENANCE.backup
restore = _MAINTENANCE.restore


def _ensure_root_and_local(tx: Transaction, organization: str) -> None:
    license.lock(tx)  # replicas that start together make them one after another
    organizations.ensure_root(tx, str(uuid.uuid4()), organization, now())
    storages.ensure_local(tx, str(uuid.uuid4()), now())


def _services(ground: Ground, dial: Dialler, outbox: Outbox, upkeep: Upkeep) -> list[RpcService]:
    database = ground.database

    def wake() -> None:
        outbox.wake()
        upkeep.wake()

    return [
        RpcService(
            "offsite.customer.v1.StorageService",
            add_StorageServiceServicer_to_server,
            StorageServicer(_grants(ground, dial), wake),
        ),
        RpcService(
            "offsite.customer.v1.OrganizationService",
            add_OrganizationServiceServicer_to_server,
            OrganizationServicer(database, outbox.wake),
        ),
        RpcService(
            "offsite.customer.v1.DestinationService",
            add_DestinationServiceServicer_to_server,
            DestinationServicer(database, outbox.wake),
        ),
        RpcService(
            "offsite.customer.v1.UserService",
            add_UserServiceServicer_to_server,
            UserServicer(database, outbox.wake),
        ),
        RpcService(
            "offsite.customer.v1.DeviceService",
            add_DeviceServiceServicer_to_server,
            DeviceServicer(database, ground.identity, outbox.send_now, outbox.wake),
        ),
        RpcService(
            "offsite.customer.v1.AgentService",
            add_AgentServiceServicer_to_server,
            AgentServicer(_archives(ground, dial, outbox), outbox.wake),
        ),
        RpcService(
            "offsite.customer.v1.RecoveryService",
            add_RecoveryServiceServicer_to_server,
            RecoveryServicer(database, ground.identity),
        ),
    ]


def _grants(ground: Ground, dial: Dialler) -> Grants:
    return Grants(
        ground.database,
        ground.identity,
        dial,
        lambda: ground.advertised.https,
    )


def _archives(ground: Ground, dial: Dialler, outbox: Outbox) -> Archives:
    return Archives(
        ground.database,
        ground.identity,
        dial,
        outbox.send_now,
        lambda: ground.advertised.https,
    )
