"""`offsite-provider terms`: the terms and conditions for hosted organizations."""

from pathlib import Path

from cyclopts import App
from offsite.provider.v1 import terms_service_pb2 as pb
from offsite.provider.v1.terms_service_pb2_grpc import TermsServiceStub

from service_kit.cli import output
from service_kit.cli.connection import call, stub
from service_kit.errors import FieldViolation, InvalidArgument

app = App(name="terms", help="The terms and conditions that hosted organizations agree to.")


@app.command
def show() -> None:
    """Show the present text and its version."""
    found = call(stub(TermsServiceStub).GetTerms, pb.GetTermsRequest())

    def people() -> None:
        output.line(found.terms.text)
        output.line(f"Version {found.terms.version}")

    output.show(found, people, quiet=found.terms.version)


@app.command(name="set")
def set_(file: Path, /) -> None:
    """Replace the text; organizations keep the version that was accepted for them."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        violation = FieldViolation("FILE", f"can't be read as UTF-8 text: {error}")
        raise InvalidArgument([violation]) from error
    done = call(stub(TermsServiceStub).UpdateTerms, pb.UpdateTermsRequest(text=text))
    output.show(done, lambda: output.line(f"Version {done.terms.version}"))
