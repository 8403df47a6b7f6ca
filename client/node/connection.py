"""Check the connection from the clinic to its server, step by step: name, TCP, TLS, clock, key."""

from __future__ import annotations

import http.client
import socket
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Literal

from dermafed.client.node.home import Home
from dermafed.client.node.proxy import PROXY_PORT, credentials, only_proxy_for, proxy_for
from dermafed.shared.protocol.invitation import split_address

State = Literal["ok", "warning", "failed"]

_SECONDS = 10.0
# Flower's server accepts a call that was signed up to 5 s in its future and 305 s in its past. The time
# that a server reports is up to 2 s old.
_LITTLE_AHEAD, _FAR_AHEAD = 3.0, 6.0
_LITTLE_BEHIND, _FAR_BEHIND = 60.0, 300.0

REFUSED = "it is unknown or revoked, or another node with it is connected"
"""Why a server may refuse this clinic's key; it does not say which of these it is."""

REFUSED_REMEDY = (
    "After a crash, wait a minute. Otherwise make sure that only one node runs; then ask the coordinator "
    "whether the key is enrolled"
)

# OpenSSL's numbers, X509_V_ERR_*.
_NOT_YET_VALID, _EXPIRED = 9, 10
_OTHER_NAME = (62, 64)


@dataclass(frozen=True, slots=True)
class Check:
    """The result of one check.

    Attributes:
        name: what was checked.
        state: ``ok``, ``warning`` or ``failed``.
        what: the finding, as a phrase.
        remedy: what to do about it; empty if nothing.
    """

    name: str
    state: State
    what: str
    remedy: str = ""


def check_connection(address: str, ca: Path) -> Iterator[Check]:
    """Check name, TCP, TLS with the pinned authority, and clock; ends at the first that fails.

    Raises:
        SettingsError: the environment names a proxy whose address is not valid.
    """
    host, port = split_address(address)
    proxy = proxy_for(host)
    hop = (proxy.hostname or "", proxy.port or PROXY_PORT) if proxy else (host, port)
    resolved = _resolve(hop[0])
    yield resolved
    if resolved.state == "failed":
        return
    try:
        connection = http.client.HTTPConnection(*hop, timeout=_SECONDS)
        if proxy:
            connection.set_tunnel(host, port, credentials(proxy))
        connection.connect()
    except (OSError, http.client.HTTPException) as error:
        yield _unreachable(hop, (host, port), error)
        return
    yield Check("tcp", "ok", f"{address} answers")
    with connection.sock as plain:
        yield from _check_tls(plain, host, ca)


def check_registration(address: str, home: Home) -> Check:
    """Check that the server accepts the clinic's key; the clinic's node must not be running."""
    import httpx

    from dermafed.client.node.flower.supernode import register_once

    try:
        with only_proxy_for(split_address(address)[0]):
            register_once(address, home.ca, home.key)
    except httpx.HTTPStatusError as error:
        return Check(
            "registration",
            "failed",
            f"the server refuses this clinic's key ({error.response.status_code}): {REFUSED}",
            REFUSED_REMEDY,
        )
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        what = f"the server could not be reached: {type(error).__name__}"
        return Check("registration", "warning", what, "fl-client start will show it")
    return Check("registration", "ok", "the server knows this clinic's key")


def _resolve(host: str) -> Check:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "no such name"
        return Check(
            "name", "failed", f"{host} has no address: {reason}", "Check the name and this machine's DNS"
        )
    return Check("name", "ok", f"{host} is {found[0][4][0]}")


def _unreachable(hop: tuple[str, int], server: tuple[str, int], error: Exception) -> Check:
    address = f"{server[0]}:{server[1]}"
    way, remedy = "", f"Ask whether the server runs, and whether the firewall allows TCP to port {server[1]}"
    if hop != server:
        way = f" through the proxy {hop[0]}:{hop[1]}"
        remedy = f"Ask whether the server runs, and ask the proxy's operator to allow CONNECT to {address}"
    return Check("tcp", "failed", f"{address} cannot be reached{way}: {_reason(error)}", remedy)


def _reason(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).lower()


def _check_tls(plain: socket.socket, host: str, ca: Path) -> Iterator[Check]:
    try:
        context = ssl.create_default_context(cafile=str(ca))
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        with context.wrap_socket(plain, server_hostname=host) as secured:
            yield Check("tls", "ok", f"{secured.version()}, by the pinned authority")
            yield _check_clock(secured, host)
    except ssl.SSLCertVerificationError as error:
        yield _bad_certificate(error, host)
    except TimeoutError:
        remedy = "Ask whether the server runs, and ask the network's operator"
        yield Check("tls", "failed", f"{host} accepts the connection, but does not answer", remedy)
    except (OSError, ValueError) as error:
        remedy = "Ask the coordinator whether this is the federation's port; a proxy must not decrypt TLS"
        yield Check("tls", "failed", f"no TLS connection: {_reason(error)}", remedy)


def _bad_certificate(error: ssl.SSLCertVerificationError, host: str) -> Check:
    if error.verify_code in (_EXPIRED, _NOT_YET_VALID):
        state = "has expired" if error.verify_code == _EXPIRED else "is not valid yet"
        remedy = "Check this machine's clock; if it is right, the coordinator must renew the certificate"
        return Check("tls", "failed", f"the server's certificate {state}", remedy)
    if error.verify_code in _OTHER_NAME:
        remedy = "Ask the coordinator for an invitation with the name in the certificate"
        return Check("tls", "failed", f"the server's certificate is not for {host}", remedy)
    return Check(
        "tls",
        "failed",
        "the server's certificate was not issued by the pinned authority",
        "Someone may intercept the connection, or the coordinator made a new authority: ask by telephone, "
        "then join again",
    )


def _check_clock(secured: ssl.SSLSocket, host: str) -> Check:
    request = f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    try:
        secured.sendall(request.encode("idna" if not host.isascii() else "ascii"))
        answer = http.client.HTTPResponse(secured)
        answer.begin()
        there = parsedate_to_datetime(answer.headers["Date"] or "").timestamp()
    except (OSError, ValueError, TypeError, http.client.HTTPException):
        return Check(
            "clock",
            "warning",
            "the server does not report its time",
            "Make sure that this machine's clock is right",
        )
    return _clock_check(time.time() - there)


def _clock_check(ahead: float) -> Check:
    what = f"the clock is {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} the server's"
    remedy = "Set it by NTP; the server refuses calls whose time is wrong"
    if not -_FAR_BEHIND < ahead < _FAR_AHEAD:
        return Check("clock", "failed", what, remedy)
    fits = -_LITTLE_BEHIND < ahead < _LITTLE_AHEAD
    return Check("clock", "ok", what) if fits else Check("clock", "warning", what, remedy)
