"""`license`: how many seats this server may have in use, and who has them."""

from cyclopts import App
from offsite.common.v1 import license_service_pb2 as pb
from offsite.common.v1.license_service_pb2_grpc import LicenseServiceStub

from service_kit.cli import output
from service_kit.cli.connection import call, stub
from service_kit.cli.names import pages
from service_kit.cli.parameters import Count

app = App(name="license", help="The server's own master license.")


@app.command
def show() -> None:
    """Show the license, and who uses it."""
    service = stub(LicenseServiceStub)
    found = call(service.GetLicense, pb.GetLicenseRequest())

    def people() -> None:
        use = pages(service.ListLicenseUse, pb.ListLicenseUseRequest(), "organizations")
        rows = [(each.organization_name, each.seats_in_use) for each in use.organizations]
        output.line(_used(found.license))
        output.table(("organization", "seats in use"), sorted(rows))

    output.show(found, people, quiet=str(found.license.seats))


@app.command
def set_(*, seats: Count) -> None:
    """Set the number of seats; held seats stay, also above a lower number."""
    request = pb.UpdateLicenseRequest(seats=seats)
    done = call(stub(LicenseServiceStub).UpdateLicense, request)
    output.show(done, lambda: output.line(_used(done.license)), quiet=str(done.license.seats))


def _used(license_: pb.License) -> str:
    return f"{license_.seats_in_use} of {license_.seats} seats in use"
