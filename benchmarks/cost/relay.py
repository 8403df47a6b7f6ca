"""A relay between nodes and their server that counts the bytes, and the times at which rounds end."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

PIECE = 1 << 18


@dataclass
class Relay:
    """The port for the nodes, and the number of bytes in both directions."""

    port: int = 0
    passed: int = 0


@dataclass(frozen=True)
class Cost:
    """The cost of a round of all clinics together: wall-clock seconds, and bytes in both directions."""

    seconds: float
    bytes: float


@contextmanager
def relay(port: int) -> Iterator[Relay]:
    """A relay in a thread of this process, on a free port, to another port of this machine."""
    counter, loop = Relay(), asyncio.new_event_loop()

    async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while piece := await source.read(PIECE):
                counter.passed += len(piece)
                sink.write(piece)
                await sink.drain()
        sink.close()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            onward = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            writer.close()
            return
        await asyncio.gather(pump(reader, onward[1]), pump(onward[0], writer))

    server = loop.run_until_complete(asyncio.start_server(connected, "127.0.0.1", 0, limit=PIECE))
    counter.port = server.sockets[0].getsockname()[1]
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield counter
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


def cost_of_rounds(rows: Path, rounds: int, counter: Relay, check: Callable[[], None]) -> Cost:
    """The mean cost of the rounds after the first.

    Args:
        rows: a file with one line at the start and one more at the end of each round.
        rounds: number of rounds.
        counter: the relay of all traffic between nodes and server.
        check: raises an error if the run has stopped.
    """
    marks: list[tuple[float, int]] = []
    while len(marks) < rounds + 1:
        with suppress(FileNotFoundError):
            ended = rows.read_bytes().count(b"\n")
            marks += [(time.monotonic(), counter.passed)] * (ended - len(marks))
        check()
        time.sleep(0.02)
    (start, before), (end, after) = marks[1], marks[-1]
    return Cost((end - start) / (rounds - 1), (after - before) / (rounds - 1))
