"""A federation's folder: ``server.toml``, the certificates, the record."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import tomli_w
from cryptography import x509
from cryptography.exceptions import InvalidSignature

from dermafed.server.record.record_database import Record
from dermafed.shared.errors import InputError, SettingsError, StorageError
from dermafed.shared.names import check_name
from dermafed.shared.protocol.certificates import (
    CA_CERTIFICATE,
    CA_KEY,
    SERVER_CERTIFICATE,
    SERVER_KEY,
    certificate_fingerprint,
    load_certificate,
    read_ca,
)
from dermafed.shared.protocol.invitation import is_host, join_address
from dermafed.shared.storage.atomic_files import check_private, write_private
from dermafed.shared.toml_file import read_toml

SETTINGS_FILE = "server.toml"
TRUST, RECORD, RUNS = "trust", "record.db", "runs"

DEFAULT_PORT = 9443
_HEADER = "# Settings of a DermaFed server. After a change of hosts: fl-server renew.\n"
_RENEW = "Run: fl-server renew"
_RESTORE = "Restore the folder 'trust' from your backup"


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """The settings of a server.

    Attributes:
        federation: the federation's name.
        hosts: names and IP addresses of the server for the clinics; invitations contain the first.
        port: the port that clinics connect to.
        health_port: the port of the health checks and metrics, on this machine only.
        listen: where ``port`` is opened: a name (all its addresses) or an IP address of this machine;
            ``0.0.0.0`` is all of IPv4, ``::`` all of IPv4 and IPv6.
    """

    federation: str
    hosts: tuple[str, ...]
    port: int = DEFAULT_PORT
    health_port: int = DEFAULT_PORT + 1
    listen: str = "0.0.0.0"

    def __post_init__(self) -> None:
        check_name(self.federation, "federation")
        if not self.hosts:
            raise SettingsError("The server has no host", where="hosts", remedy="Name at least one")
        for name, host in (*(("hosts", host) for host in self.hosts), ("listen", self.listen)):
            if not isinstance(host, str) or not is_host(host):
                raise SettingsError(
                    f"{host!r} is not a host", where=name, remedy="Give a name or an IP address"
                )
        for name in ("port", "health_port"):
            value = getattr(self, name)
            if type(value) is not int or not 0 < value < 65536:
                raise SettingsError(f"{value!r} is not a port", where=name, remedy="Choose 1 to 65535")
        if self.port == self.health_port:
            raise SettingsError("Both ports are the same", where="health_port", remedy="Choose another")

    @property
    def address(self) -> str:
        """The address that clinics connect to, ``host:port``."""
        return join_address(self.hosts[0], self.port)


def save_settings(folder: Path, settings: ServerSettings) -> None:
    """Write ``server.toml``; with it a folder is a federation's.

    Raises:
        StorageError: it cannot be written.
    """
    values = {**asdict(settings), "hosts": list(settings.hosts)}
    write_private(folder / SETTINGS_FILE, (_HEADER + tomli_w.dumps(values)).encode())


def load_settings(folder: Path) -> ServerSettings:
    """Read ``server.toml`` of a federation's folder, which other users must not be able to read.

    Raises:
        SettingsError: the folder is not a federation's, or the settings cannot be used.
        StorageError: others may read the folder.
    """
    path = folder / SETTINGS_FILE
    if not path.is_file():
        raise SettingsError(
            "This is not a federation's folder",
            where=folder,
            remedy="Give --dir with a folder made by fl-server init, or make one",
        )
    check_private(folder)
    values = read_toml(path)
    try:
        return ServerSettings(**{**values, "hosts": tuple(values["hosts"])})
    except InputError as error:
        raise SettingsError(error.what, where=f"{path}, {error.where}", remedy=error.remedy) from error
    except (ValueError, TypeError, KeyError) as error:
        raise SettingsError(
            f"The settings cannot be used: {error}", where=path, remedy="Correct the file"
        ) from error


def open_record(folder: Path) -> Record:
    """The record of a federation's folder; ``fl-server init`` made it, and nothing makes it anew.

    Raises:
        StorageError: it is missing or empty; with a new one, runs would get the folders of old ones.
    """
    record = Record(folder / RECORD)
    if how := _how_lost(record, folder / RUNS):
        raise StorageError(
            f"The federation's record is {how}; nothing was changed",
            where=record.path,
            remedy=f"Restore {RECORD} from your backup",
        )
    return record


def _how_lost(record: Record, runs: Path) -> str:
    if not record.path.exists():
        return "missing"
    if not record.path.stat().st_size:  # SQLite would take it for a new one, and drop its log
        return "empty"
    with record.connected() as connection:
        if not connection.execute("PRAGMA user_version").fetchone()[0]:
            return "empty"
    with record.reading() as db:
        known = db.execute("SELECT 1 FROM runs").fetchone()
    return "" if known or not any(runs.glob("[0-9]*-*")) else "empty, but there are runs"


def authority_pem(trust: Path) -> str:
    """The authority's certificate, as an invitation contains it.

    Raises:
        StorageError: it cannot be read.
    """
    try:
        return (trust / CA_CERTIFICATE).read_text("ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise StorageError(
            "The authority's certificate cannot be read", where=trust / CA_CERTIFICATE, remedy=_RESTORE
        ) from error


def authority_fingerprint(trust: Path) -> str:
    """The authority's fingerprint, which the coordinator and the clinics compare.

    Raises:
        InputError: the certificate cannot be read.
    """
    return certificate_fingerprint(read_ca(authority_pem(trust)))


def check_server_certificate(trust: Path, now: datetime | None = None) -> timedelta:
    """Check the server's certificate; returns how long it is still valid.

    Args:
        trust: the folder of the keys and certificates.
        now: the time of the check; the current time by default.

    Raises:
        InputError: a key is missing or readable by others, or the certificate comes from another authority,
            has expired, or is not valid yet.
    """
    for name in (CA_KEY, SERVER_KEY):
        check_private(trust / name)
    path, moment = trust / SERVER_CERTIFICATE, now or datetime.now(UTC)
    certificate, authority = load_certificate(path), load_certificate(trust / CA_CERTIFICATE)
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature) as error:
        raise InputError(
            "The server's certificate is not from this federation's authority", where=path, remedy=_RENEW
        ) from error
    if moment < certificate.not_valid_before_utc:
        began = f"{certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC"
        raise InputError(
            f"The server's certificate is not valid before {began}",
            where=path,
            remedy="Set this machine's clock",
        )
    _check_not_expired("authority", authority, moment, trust / CA_CERTIFICATE, "Create a new federation")
    _check_not_expired("server", certificate, moment, path, _RENEW)
    return certificate.not_valid_after_utc - moment


def _check_not_expired(
    whose: str, certificate: x509.Certificate, moment: datetime, path: Path, remedy: str
) -> None:
    if moment > certificate.not_valid_after_utc:
        day = f"{certificate.not_valid_after_utc:%Y-%m-%d}"
        raise InputError(f"The {whose}'s certificate expired on {day}", where=path, remedy=remedy)
