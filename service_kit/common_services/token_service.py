"""TokenService: the bearer tokens of people's tools."""

from offsite.common.v1.token_service_pb2 import (
    CreateTokenRequest,
    CreateTokenResponse,
    ListTokensRequest,
    ListTokensResponse,
    RevokeTokenRequest,
    RevokeTokenResponse,
    Token,
    TokenRole,
)
from offsite.common.v1.token_service_pb2_grpc import TokenServiceServicer

from service_kit.clock import now
from service_kit.conversions import optional_time, optional_timestamp, to_timestamp
from service_kit.database.engine import Database
from service_kit.database.paging import PageRequest
from service_kit.errors import FieldViolation, InvalidArgument
from service_kit.ledger import access_tokens
from service_kit.server.context import Context
from service_kit.validation import filter_text

_ROLES = {
    TokenRole.TOKEN_ROLE_OPERATOR: access_tokens.TokenRole.OPERATOR,
    TokenRole.TOKEN_ROLE_READ_ONLY: access_tokens.TokenRole.READ_ONLY,
}
_MESSAGE_ROLES = {role: number for number, role in _ROLES.items()}


class TokenServicer(TokenServiceServicer):
    """Makes, lists and ends tokens."""

    def __init__(self, database: Database) -> None:
        self.database = database

    async def CreateToken(
        self, request: CreateTokenRequest, context: Context
    ) -> CreateTokenResponse:
        token, secret = await self.database.run(
            access_tokens.create,
            request.name,
            _role(request.role),
            optional_time(request, "expire_time"),
            now(),
        )
        return CreateTokenResponse(token=_to_proto(token), secret=secret)

    async def ListTokens(self, request: ListTokensRequest, context: Context) -> ListTokensResponse:
        page = await self.database.read(
            access_tokens.list_tokens, PageRequest(request.page_size, request.page_token)
        )
        tokens = [_to_proto(token) for token in page.items]
        return ListTokensResponse(tokens=tokens, next_page_token=page.next_page_token)

    async def RevokeToken(
        self, request: RevokeTokenRequest, context: Context
    ) -> RevokeTokenResponse:
        token = await self.database.run(
            access_tokens.revoke, filter_text("name", request.name, 100), now()
        )
        return RevokeTokenResponse(token=_to_proto(token))


def _role(number: TokenRole.ValueType) -> access_tokens.TokenRole:
    role = _ROLES.get(number)
    if role is None:
        raise InvalidArgument([FieldViolation("role", "must be operator or read-only")])
    return role


def _to_proto(token: access_tokens.AccessToken) -> Token:
    return Token(
        name=token.name,
        role=_MESSAGE_ROLES[token.role],
        create_time=to_timestamp(token.create_time),
        expire_time=optional_timestamp(token.expire_time),
        revoke_time=optional_timestamp(token.revoke_time),
    )
