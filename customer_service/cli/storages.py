"""`offsite-customer storage`: this server itself, and the providers attached to it."""

import uuid
from pathlib import Path
from typing import Any

from cyclopts import App
from offsite.customer.v1 import storage_service_pb2 as pb
from offsite.customer.v1.storage_service_pb2_grpc import StorageServiceStub

from customer_service.cli import storage_views as views
from service_kit.cli import output
from service_kit.cli.confirmation import count_of, counted, require
from service_kit.cli.connection import call, stub
from service_kit.cli.names import by_name, is_id, pages, the_one
from service_kit.cli.parameters import Confirm, Flag
from service_kit.cli.secret_input import read_secret

app = App(name="storage", help="Where computers can back up to.")


def service() -> StorageServiceStub:
    """The service of this noun."""
    return stub(StorageServiceStub)


def id_of(name: str) -> str:
    """The id of a storage by its name; an id is taken as it is.

    Raises:
        NotFound: there is none of this name.
        Conflict: there are several, detached.
    """
    if is_id(name):
        return name
    request = pb.ListStoragesRequest(name=name, show_detached=True)
    found = pages(service().ListStorages, request, "storages").storages
    present = [each for each in found if each.state != pb.STORAGE_STATE_DETACHED]
    return str(the_one("storage", name, present or found).id)


def names() -> dict[str, str]:
    """The names of all storages, by id."""
    request = pb.ListStoragesRequest(show_detached=True)
    found = pages(service().ListStorages, request, "storages").storages
    return {each.id: each.name for each in found}


@app.command(name="test")
def validate(*, hostname: str, guid: str, key_file: Path | None = None) -> None:
    """Dial a provider and validate a registration key; changes nothing on either side.

    Parameters
    ----------
    hostname
        HOST:PORT of the provider.
    guid
        The provider's GUID.
    key_file
        A file with the registration key; else it is read from stdin or asked for.
    """
    request = pb.TestStorageRequest(
        hostname=hostname, provider_guid=guid, registration_key=_key(key_file)
    )
    found = call(service().TestStorage, request)

    def people() -> None:
        output.line("Attaching would grant:")
        expires = output.moment(found, "registration_key_expire_time")
        output.facts([*views.granted(found.storage), ("key expires", expires)])

    output.show(found, people)


@app.command
def attach(*, name: str, hostname: str, guid: str, key_file: Path | None = None) -> None:
    """Attach a provider's storage, and offer it to new users.

    Parameters
    ----------
    name
        The label that users see.
    hostname
        HOST:PORT of the provider.
    guid
        The provider's GUID.
    key_file
        A file with the registration key; else it is read from stdin or asked for.
    """
    request = pb.AttachStorageRequest(
        storage_id=str(uuid.uuid4()),
        type=pb.STORAGE_TYPE_ATTACHED_SERVER,
        name=name,
        hostname=hostname,
        provider_guid=guid,
        registration_key=_key(key_file),
    )
    show_storage(call(service().AttachStorage, request))


@app.command
def list_(*, all_: Flag = False) -> None:
    """List storages.

    Parameters
    ----------
    all_
        Also detached ones.
    """
    request = pb.ListStoragesRequest(show_detached=all_)
    found = pages(service().ListStorages, request, "storages")
    output.show(found, lambda: views.listed(by_name(found.storages)))


@app.command
def show(storage: str, /) -> None:
    """Show a storage."""
    show_storage(call(service().GetStorage, pb.GetStorageRequest(storage_id=id_of(storage))))


@app.command
def update(storage: str, /, *, name: str | None = None, hostname: str | None = None) -> None:
    """Change a storage's label or hostname; the new host must prove the provider's identity.

    Parameters
    ----------
    name
        The new label.
    hostname
        The new HOST:PORT.
    """
    request = pb.UpdateStorageRequest(storage_id=id_of(storage))
    if name is not None:
        request.name = name
    if hostname is not None:
        request.hostname = hostname
    show_storage(call(service().UpdateStorage, request))


@app.command
def change_guid(
    storage: str, /, *, guid: str, hostname: str | None = None, key_file: Path | None = None
) -> None:
    """The provider had to start with a new identity: the same storage, attached anew.

    Parameters
    ----------
    guid
        The provider's new GUID.
    hostname
        The new HOST:PORT, if it changed.
    key_file
        A file with the new registration key; else it is read from stdin or asked for.
    """
    request = pb.ChangeProviderGuidRequest(
        storage_id=id_of(storage), provider_guid=guid, registration_key=_key(key_file)
    )
    if hostname is not None:
        request.hostname = hostname
    show_storage(call(service().ChangeProviderGuid, request))


@app.command
def resume(storage: str, /, *, key_file: Path | None = None) -> None:
    """Go on with an attach that was cut off, or was refused and has a new key now.

    Parameters
    ----------
    key_file
        A file with a new registration key, where the old one was refused.
    """
    request = pb.ResumeAttachRequest(storage_id=id_of(storage))
    if key_file is not None:
        request.registration_key = _key(key_file)
    show_storage(call(service().ResumeAttach, request))


@app.command
def detach(storage: str, /, *, force: Flag = False, confirm: Confirm = False) -> None:
    """End an attachment and release its seats, as soon as the provider can be told.

    Parameters
    ----------
    force
        Forget it here without telling the provider, which goes on holding what it holds.
    """
    request = pb.DetachStorageRequest(
        storage_id=id_of(storage), force=force, validate_only=not confirm
    )
    done = call(service().DetachStorage, request)
    require(confirm, f"Detaching {done.storage.name}", counted(done.impact))
    if force:
        held = count_of(done.impact.provider_seats, "seat")
        output.warn(f"the provider still holds {held} and the archives of this server.")
    show_storage(done)


def _key(file: Path | None) -> str:
    return read_secret(file, "Registration key")


def show_storage(response: Any) -> None:
    """Show the storage of an answer."""
    output.show(response, lambda: views.shown(response.storage), quiet=response.storage.id)
