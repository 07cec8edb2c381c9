"""`offsite-customer storage`: mending an attachment whose two ledgers went apart."""

from cyclopts import App
from offsite.customer.v1 import storage_service_pb2 as pb

from customer_service.cli import storage_views as views
from customer_service.cli import users
from customer_service.cli.storages import id_of, service, show_storage
from service_kit.cli import output
from service_kit.cli.confirmation import count_of, require
from service_kit.cli.connection import call
from service_kit.cli.names import pages
from service_kit.cli.parameters import Confirm

app = App()


@app.command
def takeover(storage: str, /, *, confirm: Confirm = False) -> None:
    """End a conflict: this deployment is the rightful one."""
    request = pb.TakeOverStorageRequest(storage_id=id_of(storage), validate_only=not confirm)
    done = call(service().TakeOverStorage, request)
    if confirm:
        show_storage(done)
        return
    output.show(done, lambda: views.differences(done.differences))
    require(
        confirm, f"Taking {done.storage.name} over", count_of(done.difference_count, "difference")
    )


@app.command
def unclaimed(storage: str, /) -> None:
    """List the provider's seats that no device here knows."""
    request = pb.ListUnclaimedSeatsRequest(storage_id=id_of(storage))
    found = pages(service().ListUnclaimedSeats, request, "seats")
    output.show(found, lambda: views.differences(found.seats))


@app.command
def adopt(storage: str, /, *devices: str, user: str) -> None:
    """Make devices of unclaimed seats, under a user; all of them if none is named.

    Parameters
    ----------
    devices
        GUIDs of unclaimed seats.
    user
        The user that gets the devices.
    """
    request = pb.AdoptSeatsRequest(
        storage_id=id_of(storage), user_id=users.id_of(user), device_guids=devices
    )
    done = call(service().AdoptSeats, request)
    output.show(done, lambda: output.line(f"Made {count_of(done.devices_adopted, 'device')}."))
