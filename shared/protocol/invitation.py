"""The invitation: the file from which a clinic's node knows how to find and recognise the server.

Nothing in it is secret, but whoever changes it on its way changes whom the clinic trusts: the two sides
compare the CA's fingerprint by another channel, such as the telephone.
"""

from __future__ import annotations

import ipaddress
import json
import re
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from dermafed.shared.errors import InputError, StorageError
from dermafed.shared.names import check_name
from dermafed.shared.protocol.certificates import certificate_fingerprint, read_ca
from dermafed.shared.storage.atomic_files import write_json

FORMAT = 1

_LARGEST = 65_536  # bytes
_HOST_NAME = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})*\.?")
_KEY_FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]{43}")


@dataclass(frozen=True, slots=True)
class Invitation:
    """What a clinic needs to join.

    Attributes:
        federation: the federation's name.
        address: the server's address, ``host:port``; an IPv6 address is in brackets.
        clinic: the name under which the clinic's key is registered.
        key_fingerprint: that key's fingerprint, by :func:`dermafed.shared.protocol.node_key.fingerprint`.
        ca_pem: the certificate of the authority that vouches for the server.
        ca_fingerprint: that certificate's fingerprint, by :func:`certificate_fingerprint`.

    Raises:
        InputError: a field is not valid, or the fingerprint belongs to another certificate.
    """

    federation: str
    address: str
    clinic: str
    key_fingerprint: str
    ca_pem: str
    ca_fingerprint: str

    def __post_init__(self) -> None:
        for field in fields(self):
            _require(isinstance(getattr(self, field.name), str), f"The field '{field.name}' is not text")
        check_name(self.federation, "federation")
        check_name(self.clinic, "clinic")
        split_address(self.address)
        _require(_KEY_FINGERPRINT.fullmatch(self.key_fingerprint), "The key's fingerprint is malformed")
        actual = certificate_fingerprint(read_ca(self.ca_pem))
        _require(actual == self.ca_fingerprint, "The fingerprint is not that of the CA certificate")


def write_invitation(path: Path, invitation: Invitation) -> None:
    """Write the file to hand over.

    Raises:
        StorageError: it cannot be written.
    """
    write_json(path, {"format": FORMAT, **asdict(invitation)})


def read_invitation(path: Path) -> Invitation:
    """Read the file from a coordinator; nothing in it is trusted.

    Raises:
        StorageError: the file cannot be read.
        InputError: it is not an invitation, or was damaged or changed.
    """
    try:
        values = _values(path)
        known = {"format", *(field.name for field in fields(Invitation))}
        for name in sorted(known ^ set(values)):
            _require(False, f"The field '{name}' is {'missing' if name in known else 'unknown'}")
        _require(type(values["format"]) is int, "The field 'format' is not a number")
        if values.pop("format") != FORMAT:
            raise InputError(
                "It is of another version", remedy="Use the same version of dermafed on both sides"
            )
        return Invitation(**values)
    except StorageError:
        raise
    except InputError as error:
        raise InputError(
            f"This invitation cannot be used: {error.what[0].lower()}{error.what[1:]}",
            where=path,
            remedy=error.remedy or "Ask the coordinator to send it again",
        ) from error


def split_address(address: str) -> tuple[str, int]:
    """Host and port of ``host:port``; an IPv6 address without its brackets.

    Raises:
        InputError: the host is neither a name nor an IP address, or the port is not valid.
    """
    host, _, port = address.rpartition(":")
    _require(
        port.isascii() and port.isdigit() and 0 < int(port) < 65536, f"The address {address!r} has no port"
    )
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    _require(is_host(bare) and ("[" in host) == (":" in bare), f"The address {address!r} has no host")
    return bare, int(port)


def join_address(host: str, port: int) -> str:
    """``host:port``, with an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def is_host(text: str) -> bool:
    """Whether this is an IP address or may be the name of a machine."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return bool(_HOST_NAME.fullmatch(text)) and len(text) <= 253 and not _looks_like_ipv4(text)
    return True


def _looks_like_ipv4(text: str) -> bool:
    return text.replace(".", "").isdigit()


def _values(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST + 1)
    except OSError as error:
        raise StorageError(
            f"The invitation cannot be read: {error.strerror}",
            where=path,
            remedy="Give the file that the coordinator sent",
        ) from error
    try:
        _require(len(content) <= _LARGEST, "It is too long")
        values = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise InputError("It is not JSON") from error
    _require(isinstance(values, dict), "It is not a JSON object")
    return dict(values)


def _require(right: object, what: str) -> None:
    if not right:
        raise InputError(what)
