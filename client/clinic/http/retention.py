"""What is kept too long goes, while the node runs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Protocol

from dermafed.shared.errors import DermaFedError

_DAY = 86400.0

log = logging.getLogger("dermafed.serving")


class Expiring(Protocol):
    """A store that knows how long it keeps."""

    def expire(self, now: datetime) -> object:
        """Remove what has been kept long enough."""
        ...


@asynccontextmanager
async def expiring(store: Expiring, every: float = _DAY) -> AsyncIterator[None]:
    """Remove what has been kept long enough, now and again and again, for as long as the context lasts."""

    async def work() -> None:
        while True:
            try:
                await asyncio.to_thread(store.expire, datetime.now(UTC))
            except DermaFedError as error:
                log.error("%s", error)
            await asyncio.sleep(every)

    task = asyncio.create_task(work())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
