"""What is kept of each call: one log line, and its place in the metrics."""

import time

import structlog
from prometheus_client import Counter, Histogram

from service_kit.metrics import Metrics
from service_kit.server.audit_feed import AuditFeed
from service_kit.server.caller import Role
from service_kit.server.guards import Call

UNKNOWN_METHOD = "unknown"


class CallRecord:
    """Writes one line a call and counts it.

    Made after `logs.set_up`: the logger is bound once, not once a call. Calls that may have
    recorded audit events wake those who follow them.
    """

    def __init__(self, metrics: Metrics, feed: AuditFeed) -> None:
        self.metrics = metrics
        self.feed = feed
        self.log = structlog.get_logger().bind()
        self._known: dict[tuple[str, str], tuple[Counter, Histogram]] = {}

    def answered(self, call: Call, code: str, started: float) -> None:
        """A call that was answered, or that its caller gave up."""
        seconds = self._count(call, code, started)
        self.log.info("call", outcome=code, milliseconds=round(seconds * 1000, 2))

    def refused(self, call: Call, code: str, started: float, reason: str, message: str) -> None:
        """A call that was refused for a reason that its caller was told."""
        seconds = self._count(call, code, started)
        self.metrics.refusals.labels(reason).inc()
        self.log.info(
            "call",
            outcome=code,
            milliseconds=round(seconds * 1000, 2),
            reason=reason,
            message=message,
        )

    def failed(self, call: Call, code: str, started: float, error: BaseException) -> None:
        """A call that met a fault of this program: its traceback is in the log alone."""
        seconds = self._count(call, code, started)
        self.metrics.refusals.labels("INTERNAL").inc()
        self.log.error("call", outcome=code, milliseconds=round(seconds * 1000, 2), exc_info=error)

    def _count(self, call: Call, code: str, started: float) -> float:
        seconds = time.perf_counter() - started
        method = call.method if call.roles else UNKNOWN_METHOD
        counted, timed = self._meters(method, code)
        counted.inc()
        timed.observe(seconds)
        if Role.READ_ONLY not in call.roles:
            self.feed.wake()
        return seconds

    def _meters(self, method: str, code: str) -> tuple[Counter, Histogram]:
        """The metrics of a method and code, found once: finding them takes as long as counting."""
        meters = self._known.get((method, code))
        if meters is None:
            meters = self.metrics.calls.labels(method, code), self.metrics.seconds.labels(method)
            self._known[method, code] = meters
        return meters
