"""A bar for what restic is doing, where somebody looks on."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from device_agent.restic_run import Watch
from service_kit.cli.options import printing


@contextmanager
def bar(what: str) -> Iterator[Watch]:
    """A bar on stderr that follows restic's events; none where nobody looks, or quiet is wanted."""
    if printing().json or printing().quiet or not sys.stderr.isatty():
        yield lambda _: None
        return
    # Imported here: most commands draw no bar.
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(what, total=None)

        def follow(event: Mapping[str, Any]) -> None:
            if event["message_type"] == "status":
                done = event.get("bytes_done", event.get("bytes_restored", 0))
                progress.update(task, total=event.get("total_bytes"), completed=done)

        yield follow
