"""The table [serve], and the certificate that it may name."""

from __future__ import annotations

import socket
import ssl
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from dermafed.client.clinic.http.certificate import certificate_for
from dermafed.client.clinic.http.listening import ListenAddress
from dermafed.client.clinic.http.serve_settings import ServeSettings, read_serve_settings
from dermafed.client.node.home import Home, make_home, read_settings
from dermafed.shared.errors import InputError, SettingsError, StorageError
from tests.client.certificates import certificate


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return make_home(tmp_path / "graz", "graz", tmp_path)


def write(home: Home, table: str) -> None:
    with home.settings_file.open("a") as file:
        file.write(f"\n[serve]\n{table}\n")


def test_without_the_table_the_defaults_apply(home: Home) -> None:
    assert read_serve_settings(home.settings_file) == ServeSettings()
    assert ServeSettings().max_body == 32 * 2**20


def test_the_table_is_read_and_the_federations_node_ignores_it(home: Home) -> None:
    before = read_settings(home)
    write(home, 'hosts = ["derma.graz.example"]\nretention_days = 30\ncertificate = "a.pem"\nkey = "a.key"')
    found = read_serve_settings(home.settings_file)
    assert (found.hosts, found.retention_days) == (("derma.graz.example",), 30)
    assert (found.certificate, found.key) == (home.folder / "a.pem", home.folder / "a.key")
    assert read_settings(home) == before


@pytest.mark.parametrize(
    ("table", "field"),
    [
        ("retention_day = 30", "serve.retention_day"),
        ("retention_days = 0", "serve.retention_days"),
        ("retention_days = true", "serve.retention_days"),
        ('max_body_mib = "32"', "serve.max_body_mib"),
        ("max_body_mib = 100000", "serve.max_body_mib"),
        ('hosts = ["https://derma"]', "serve.hosts.0"),
        ('certificate = "a.pem"', "belong together"),
        ("waiting = [", "not valid TOML"),
    ],
)
def test_an_error_names_file_and_field(home: Home, table: str, field: str) -> None:
    write(home, table)
    with pytest.raises(SettingsError) as caught:
        read_serve_settings(home.settings_file)
    assert field in str(caught.value)
    assert "clinic.toml" in str(caught.value)


def test_the_nodes_own_authority_is_made_once(home: Home) -> None:
    names = ("derma.graz.example", "10.1.2.3")
    first = certificate_for(home.serving, "graz", names, ServeSettings())
    assert first.authority is not None
    authority = first.authority.read_bytes()
    second = certificate_for(home.serving, "graz", names, ServeSettings())
    assert authority == first.authority.read_bytes()
    shown = x509.load_pem_x509_certificate(second.chain.read_bytes())
    shown.verify_directly_issued_by(x509.load_pem_x509_certificate(authority))
    alternative = shown.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert set(alternative.get_values_for_type(x509.DNSName)) == {"derma.graz.example", "localhost"}
    assert "10.1.2.3" in map(str, alternative.get_values_for_type(x509.IPAddress))
    assert second.context().minimum_version == ssl.TLSVersion.TLSv1_2
    for path in home.serving.iterdir():
        assert path.stat().st_mode & 0o777 == 0o600


def test_the_clinics_own_files_are_used(home: Home, tmp_path: Path) -> None:
    made = certificate(tmp_path / "own")
    made.key.chmod(0o600)
    own = certificate_for(home.serving, "graz", (), ServeSettings(certificate=made.chain, key=made.key))
    assert (own.chain, own.key, own.authority) == (made.chain, made.key, None)
    own.context()
    assert not home.serving.exists()


def test_a_key_that_others_can_read_or_that_does_not_fit_is_refused(home: Home, tmp_path: Path) -> None:
    made, other = certificate(tmp_path / "own"), certificate(tmp_path / "other")
    made.key.chmod(0o644)
    with pytest.raises(StorageError, match="Others may read"):
        certificate_for(
            home.serving, "graz", (), ServeSettings(certificate=made.chain, key=made.key)
        ).context()
    other.key.chmod(0o600)
    with pytest.raises(SettingsError, match="cannot be used"):
        certificate_for(
            home.serving, "graz", (), ServeSettings(certificate=made.chain, key=other.key)
        ).context()


@pytest.mark.parametrize("host", ["0.0.0.0", "derma.graz.example", "10.1.2.3", "::"])
def test_without_tls_only_this_machine_may_connect(host: str) -> None:
    with pytest.raises(SettingsError, match="Without TLS"):
        ListenAddress(host, 0, tls=False)
    ListenAddress("127.0.0.1", 0, tls=False)


def test_a_port_in_use_is_named() -> None:
    with ListenAddress("127.0.0.1", 0).bound() as bound:
        bound.listen()
        port = bound.getsockname()[1]
        with (
            pytest.raises(InputError, match=f"Port {port} cannot be opened"),
            ListenAddress("127.0.0.1", port).bound(),
        ):
            pass


def test_the_parts_of_an_answer_do_not_wait_for_each_other() -> None:
    with ListenAddress("127.0.0.1", 0).bound() as bound:
        bound.listen()
        with socket.create_connection(bound.getsockname()), bound.accept()[0] as accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_a_node_is_reached_by_the_names_that_it_is_given() -> None:
    settings = ServeSettings(hosts=("derma.graz.example",))
    assert ListenAddress("0.0.0.0", 0).names(settings)[0] == "derma.graz.example"
    assert ListenAddress("10.1.2.3", 0).names(settings)[:2] == ("10.1.2.3", "derma.graz.example")


IPV6 = (
    socket.has_ipv6 and Path("/proc/net/if_inet6").exists() and bool(Path("/proc/net/if_inet6").read_text())
)


def both(port: int) -> list[str]:
    """The loopback addresses that answer at a port."""
    answer = []
    for host in ("127.0.0.1", "::1"):
        with suppress(OSError), socket.create_connection((host, port), 5):
            answer.append(host)
    return answer


@pytest.mark.skipif(not IPV6, reason="this machine has no IPv6")
@pytest.mark.parametrize("host", ["::", "two.names"])
def test_both_kinds_of_addresses_are_listened_on(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.getaddrinfo

    def look_up(name: str, port: int, *rest: Any, **options: Any) -> list[Any]:
        names = ("127.0.0.1", "::1") if name == "two.names" else (name,)
        return [each for one in names for each in real(one, port, *rest, **options)]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    place = ListenAddress(host, 0)
    with place.bound() as first, place.beside(first) as others:
        for each in (first, *others):
            each.listen()
        assert both(first.getsockname()[1]) == ["127.0.0.1", "::1"]


def test_a_port_in_use_at_another_address_of_the_name_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [(socket.AF_INET, socket.SOCK_STREAM, 0, "", (host, 0)) for host in ("127.0.0.1", "127.0.0.2")]
    with ListenAddress("127.0.0.2", 0).bound() as taken:
        taken.listen()
        port = taken.getsockname()[1]
        at = [(*each[:4], (each[4][0], port)) for each in found]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: at)
        place = ListenAddress("two.names", port)
        with place.bound() as first, pytest.raises(InputError, match="cannot be opened"), place.beside(first):
            pass
