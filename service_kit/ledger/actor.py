"""Who acts in the current call, for the audit trail."""

from contextvars import ContextVar

# "token:NAME", "peer:GUID", or the server itself. The guards set it; `Database` carries it along.
actor: ContextVar[str] = ContextVar("actor", default="server")
