"""A tap inside TLS: it has the server's certificate, forwards all traffic, and records it.

All bytes that a node sends, headers and bodies, are written to a file for each connection. Arguments: the
port to listen on, the server's port, the server's name, its certificates' folder, the folder of the records.
"""

from __future__ import annotations

import asyncio
import itertools
import ssl
import sys
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from dermafed.shared.protocol.certificates import CA_CERTIFICATE, SERVER_CERTIFICATE, SERVER_KEY

PIECE = 1 << 16


async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter, sent: BinaryIO | None) -> None:
    with suppress(ConnectionError, ssl.SSLError):
        while piece := await source.read(PIECE):
            if sent is not None:
                sent.write(piece)
                sent.flush()
            sink.write(piece)
            await sink.drain()
    sink.close()


async def main(port: int, server_port: int, host: str, certificates: Path, folder: Path) -> None:
    ours = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ours.load_cert_chain(certificates / SERVER_CERTIFICATE, certificates / SERVER_KEY)
    theirs = ssl.create_default_context(cafile=str(certificates / CA_CERTIFICATE))
    numbers = itertools.count()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            onward = await asyncio.open_connection("127.0.0.1", server_port, ssl=theirs, server_hostname=host)
        except OSError:
            writer.close()
            return
        with (folder / f"{next(numbers):05d}.sent").open("wb") as sent:
            await asyncio.gather(pump(reader, onward[1], sent), pump(onward[0], writer, None))

    async with await asyncio.start_server(connected, "127.0.0.1", port, ssl=ours) as listening:
        await listening.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], Path(sys.argv[4]), Path(sys.argv[5])))
