"""The provider's TermsService."""

from offsite.provider.v1 import terms_service_pb2 as pb
from offsite.provider.v1.terms_service_pb2_grpc import TermsServiceServicer

from provider_service.domain.terms import Text
from provider_service.operations import terms
from service_kit.clock import now
from service_kit.database.engine import Database
from service_kit.server.context import Context


class TermsServicer(TermsServiceServicer):
    """The terms that the operator agrees to."""

    def __init__(self, database: Database) -> None:
        self.database = database

    async def GetTerms(self, request: pb.GetTermsRequest, context: Context) -> pb.GetTermsResponse:
        return pb.GetTermsResponse(terms=_message(await self.database.read(terms.get)))

    async def UpdateTerms(
        self, request: pb.UpdateTermsRequest, context: Context
    ) -> pb.UpdateTermsResponse:
        text = await self.database.run(terms.update, Text(request.text), now())
        return pb.UpdateTermsResponse(terms=_message(text))


def _message(terms_text: Text) -> pb.Terms:
    return pb.Terms(version=terms_text.version, text=terms_text.text)
