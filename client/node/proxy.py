"""The proxy between the clinic and its server, as this machine's environment names it."""

from __future__ import annotations

import os
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from dermafed.shared.errors import SettingsError

PROXY_PORT = 80  # httpx's

_VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
_REMEDY = "Write HTTPS_PROXY=http://HOST:PORT, of a proxy that allows CONNECT"


def proxy_for(host: str) -> SplitResult | None:
    """The proxy on the way to a server; ``None`` if there is none.

    Raises:
        SettingsError: its address cannot be used. The message does not repeat it: it may have a password.
    """
    proxies = getproxies()
    name = "https" if proxies.get("https") else "all"
    if not proxies.get(name) or proxy_bypass(host):
        return None
    where = f"{name.upper()}_PROXY"
    try:
        parts = urlsplit(proxies[name] if "//" in proxies[name] else f"http://{proxies[name]}")
        valid = bool(parts.hostname and (parts.port or PROXY_PORT))
    except ValueError:
        valid = False
    if not valid or parts.scheme not in ("", "http", "https", "socks4", "socks4a", "socks5", "socks5h"):
        raise SettingsError("The address of the proxy cannot be used", where=where, remedy=_REMEDY)
    if parts.scheme.startswith("socks"):
        what = "This is a SOCKS proxy, by which the server cannot be reached"
        remedy = f"{_REMEDY}; or NO_PROXY={host}, if the server can be reached without one"
        raise SettingsError(what, where=where, remedy=remedy)
    return parts._replace(scheme=parts.scheme or "http", path="", query="", fragment="")


def credentials(proxy: SplitResult) -> dict[str, str]:
    """The header by which a proxy knows who asks."""
    if proxy.username is None:
        return {}
    pair = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return {"Proxy-Authorization": f"Basic {b64encode(pair.encode()).decode()}"}


def with_proxy(environment: Mapping[str, str], proxy: SplitResult | None) -> dict[str, str]:
    """An environment that names this proxy and no other.

    Flower's client, httpx, fails if any of the variables names a proxy that it cannot use, needed or not.
    """
    others = {name: value for name, value in environment.items() if name.lower() not in _VARIABLES}
    return others | ({"NO_PROXY": "*"} if proxy is None else {"HTTPS_PROXY": proxy.geturl()})


@contextmanager
def only_proxy_for(host: str) -> Iterator[None]:
    """Let this process use the proxy on the way to a server and no other.

    Raises:
        SettingsError: see :func:`proxy_for`.
    """
    before, wanted = dict(os.environ), with_proxy(os.environ, proxy_for(host))
    try:
        _set_environment(wanted)
        yield
    finally:
        _set_environment(before)


def _set_environment(values: Mapping[str, str]) -> None:
    for name in set(os.environ) - set(values):
        del os.environ[name]
    os.environ.update(values)
