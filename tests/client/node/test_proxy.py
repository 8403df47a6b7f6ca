"""The proxy that the environment names: used, or refused in words that do not repeat it."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from dermafed.client.node.health import check_server
from dermafed.client.node.proxy import only_proxy_for, proxy_for, with_proxy
from dermafed.client.node.supervisor import _Node, run_node
from dermafed.shared.errors import SettingsError
from tests.client.certificates import certificate
from tests.client.planted_clinic import clinic, joined
from tests.client.superlink import superlink

VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
HOST = "derma.example.org"
SOCKS = "socks5://graz:s3cret@127.0.0.1:3199"


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"])
@pytest.mark.parametrize("scheme", ["socks5", "socks5h", "socks4", "SOCKS5"])
def test_a_socks_proxy_is_refused_with_a_remedy(
    name: str, scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, f"{scheme}://graz:s3cret@127.0.0.1:3199")
    with pytest.raises(SettingsError, match="SOCKS proxy") as error:
        proxy_for(HOST)
    assert error.value.where == name.upper()
    assert f"NO_PROXY={HOST}" in error.value.remedy
    assert "s3cret" not in str(error.value)


@pytest.mark.parametrize(
    "named", ["http://graz:s3cret@:1", "ftp://h:1", "://", "http://", "http://h:port", "graz:s3cret//@h:1"]
)
def test_an_address_of_another_form_is_refused(named: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", named)
    with pytest.raises(SettingsError, match=r"cannot be used \(ALL_PROXY\)") as error:
        proxy_for(HOST)
    assert not {"graz", "s3cret", "ftp"} & set(str(error.value).replace("/", " ").split())


@pytest.mark.parametrize(
    ("variables", "used"),
    [
        ({"HTTPS_PROXY": "http://a:b@proxy:3128/", "ALL_PROXY": SOCKS}, "http://a:b@proxy:3128"),
        ({"HTTPS_PROXY": "proxy:3128", "HTTP_PROXY": SOCKS}, "http://proxy:3128"),
        ({"ALL_PROXY": "http://proxy"}, "http://proxy"),
        ({"ALL_PROXY": SOCKS, "NO_PROXY": "example.org"}, None),
        ({"HTTPS_PROXY": "nonsense://", "NO_PROXY": "*"}, None),
        ({"HTTP_PROXY": SOCKS}, None),
        ({}, None),
    ],
)
def test_flowers_client_is_given_the_one_proxy_that_is_needed(
    variables: dict[str, str], used: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with only_proxy_for(HOST):
        httpx.Client().close()  # it fails on any proxy that it cannot use
    found = with_proxy({**variables, "no_proxy": "x", "HOME": "/"}, proxy_for(HOST))
    assert found == {"HOME": "/", **({"HTTPS_PROXY": used} if used else {"NO_PROXY": "*"})}


def test_check_and_start_name_the_socks_proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = clinic(tmp_path / "graz", tmp_path)
    joined(home, f"{HOST}:9443", certificate(tmp_path / "trust").ca)
    monkeypatch.setenv("ALL_PROXY", SOCKS)
    (check,) = check_server(home)
    assert (check.name, check.state) == ("proxy", "failed")
    assert check.what == "This is a SOCKS proxy, by which the server cannot be reached (ALL_PROXY)"
    assert "HTTPS_PROXY=http://HOST:PORT" in check.remedy
    with pytest.raises(SettingsError, match="SOCKS proxy"):
        run_node(home, print)


def test_a_server_in_no_proxy_is_reached_beside_a_socks_proxy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, made = clinic(tmp_path / "graz", tmp_path), certificate(tmp_path / "trust")
    monkeypatch.setenv("ALL_PROXY", SOCKS)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with superlink(tmp_path, made) as server:
        joined(home, server.address, made.ca)
        states = {check.name: check.state for check in check_server(home)}
    assert states["tls"] == "ok"
    assert states["registration"] in ("failed", "warning")  # the key is unknown; a busy machine may be late
    node = _Node.of(home, print, ())
    for child in (node.supernode, node.worker):
        assert child.environment["NO_PROXY"] == "*"
        assert "ALL_PROXY" not in child.environment
