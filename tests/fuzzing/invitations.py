"""The file from which a clinic learns whom to trust; the first byte says what the rest is.

The file, changes of it, or the certificate in it, as text or as DER: no change of a file would come past its
fingerprint.
"""

from __future__ import annotations

import base64
import json
import tempfile
from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding

from dermafed.shared.protocol.certificates import certificate_fingerprint, read_ca
from dermafed.shared.protocol.invitation import join_address, read_invitation, split_address, write_invitation
from tests.fuzzing.documents import edited
from tests.fuzzing.target import outcome
from tests.server.example_keys import CA, an_invitation

_folder = tempfile.TemporaryDirectory(prefix="fuzz-")
PATH = Path(_folder.name) / "graz-invitation.json"
write_invitation(PATH, an_invitation())
DOCUMENT = json.loads(PATH.read_text())


def file(data: bytes) -> str:
    PATH.write_bytes(data)
    host, port = split_address(read_invitation(PATH).address)
    assert split_address(join_address(host, port)) == (host, port)
    return "received"


def changed(data: bytes) -> str:
    return file(json.dumps(edited(DOCUMENT, data)).encode())


def pem(data: bytes) -> str:
    assert len(certificate_fingerprint(read_ca(data.decode("latin-1")))) > 60
    return "received"


def der(data: bytes) -> str:
    text = base64.encodebytes(data).decode()
    return pem(f"-----BEGIN CERTIFICATE-----\n{text}-----END CERTIFICATE-----\n".encode())


WAYS: tuple[Callable[[bytes], str], ...] = (file, changed, pem, der)


def take(data: bytes) -> str:
    return outcome(WAYS[data[0] % len(WAYS) if data else 0], data[1:])


def seeds() -> list[bytes]:
    text = json.dumps(DOCUMENT).encode()
    certificate = read_ca(CA).public_bytes(Encoding.DER)
    return [b"\0" + text, b"\1", b"\2" + CA.encode(), b"\3" + certificate]
