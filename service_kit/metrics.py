"""A server's Prometheus metrics, in a registry of its own (two servers can share a process)."""

import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from service_kit.errors import Unavailable

Sample = Callable[[], Awaitable[float]]
Samples = Callable[[], Awaitable[Mapping[tuple[str, ...], float]]]
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """Calls, their time, refusals by reason, and gauges that are read at each scrape."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._of_organizations = CollectorRegistry()
        self.calls = Counter(
            "offsite_calls", "Calls answered.", ("method", "code"), registry=self.registry
        )
        self.seconds = Histogram(
            "offsite_call_seconds",
            "Time to answer a call.",
            ("method",),
            registry=self.registry,
            buckets=_BUCKETS,
        )
        self.refusals = Counter(
            "offsite_refusals", "Calls refused, by reason.", ("reason",), registry=self.registry
        )
        self.archive_requests = Counter(
            "offsite_archive_requests",
            "Requests of archives answered, over HTTPS.",
            ("method", "status"),
            registry=self.registry,
        )
        self._samples: list[tuple[Gauge, Sample]] = []
        self._labelled: list[tuple[Gauge, Samples]] = []
        self._private: list[tuple[Gauge, Samples]] = []

    def sampled(self, name: str, documentation: str, sample: Sample) -> None:
        """Register a gauge whose value `sample` reads at each scrape."""
        self._samples.append((Gauge(name, documentation, registry=self.registry), sample))

    def sampled_each(
        self, name: str, documentation: str, labels: Sequence[str], sample: Samples
    ) -> None:
        """The same for a gauge with labels; `sample` reads a value for each tuple of them."""
        gauge = Gauge(name, documentation, labels, registry=self.registry)
        self._labelled.append((gauge, sample))

    def sampled_of_organizations(self, name: str, documentation: str, sample: Samples) -> None:
        """The same by organization id, for those alone who may read: a customer's figures."""
        label = "organization_id"
        gauge = Gauge(name, documentation, (label,), registry=self._of_organizations)
        self._private.append((gauge, sample))

    async def scrape(self, *, of_organizations: bool = False) -> bytes:
        """Metrics as Prometheus' text; gauges that can't be read now are NaN or left out."""
        for gauge, sample in self._samples:
            try:
                gauge.set(await sample())
            except Unavailable:
                gauge.set(math.nan)
        await _read(self._labelled)
        if not of_organizations:
            return generate_latest(self.registry)
        await _read(self._private)
        return generate_latest(self.registry) + generate_latest(self._of_organizations)


async def _read(gauges: Sequence[tuple[Gauge, Samples]]) -> None:
    for gauge, samples in gauges:
        gauge.clear()
        with suppress(Unavailable):
            for labels, value in (await samples()).items():
                gauge.labels(*labels).set(value)
