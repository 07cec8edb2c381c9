"""What a call is refused with, as the error that it was at the server."""

from collections.abc import Awaitable
from typing import Any

import grpc
import grpc.aio
import pytest

from service_kit.client.status import error_of
from service_kit.errors import OffsiteError


async def refusal(call: Awaitable[Any]) -> OffsiteError:
    """The error that a call must fail with."""
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await call
    return error_of(failed.value)


async def code_of(call: Awaitable[Any]) -> grpc.StatusCode:
    """The bare code that a call must fail with."""
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await call
    return failed.value.code()
