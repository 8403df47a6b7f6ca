"""The authority and its certificates, checked by openssl and by a TLS handshake."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread

import pytest

from dermafed.server.coordinator.federation_folder import authority_fingerprint, check_server_certificate
from dermafed.shared.errors import InputError
from dermafed.shared.protocol.certificates import issue_server_certificate, make_authority

HOSTS = ("derma.example.org", "192.0.2.7", "2001:db8::1")


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    make_authority(tmp_path / "trust", "alps")
    issue_server_certificate(tmp_path / "trust", HOSTS)
    return tmp_path / "trust"


def openssl(*arguments: object) -> str:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def test_openssl_accepts_the_certificate_for_each_name(certificates: Path) -> None:
    base = ("verify", "-x509_strict", "-purpose", "sslserver", "-CAfile", certificates / "ca.pem")
    for option, name in (
        ("-verify_hostname", "derma.example.org"),
        ("-verify_hostname", "localhost"),
        ("-verify_ip", "192.0.2.7"),
        ("-verify_ip", "2001:db8::1"),
        ("-verify_ip", "127.0.0.1"),
    ):
        assert "server.pem: OK" in openssl(*base, option, name, certificates / "server.pem")
    refused = openssl(*base, "-verify_hostname", "evil.example.org", certificates / "server.pem")
    assert "hostname mismatch" in refused.lower()


def test_the_fingerprint_is_that_of_openssl(certificates: Path) -> None:
    printed = openssl("x509", "-in", certificates / "ca.pem", "-noout", "-fingerprint", "-sha256").strip()
    digits = printed.rpartition("=")[2].replace(":", "").lower()
    shown = authority_fingerprint(certificates)
    assert shown.replace(" ", "") == digits
    assert [len(group) for group in shown.split()] == [4] * 16


def shake_hands(certificates: Path, ca: Path, name: str) -> str:
    """A TLS handshake on loopback; gives the protocol's version."""
    served = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    served.load_cert_chain(certificates / "server.pem", certificates / "server.key")
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            try:
                served.wrap_socket(connection, server_side=True).close()
            except OSError:
                connection.close()

        thread = Thread(target=answer)
        thread.start()
        try:
            plain = socket.create_connection(listener.getsockname())
            context = ssl.create_default_context(cafile=str(ca))
            with context.wrap_socket(plain, server_hostname=name) as connection:
                return str(connection.version())
        finally:
            plain.close()
            thread.join()


def test_a_clinic_that_pins_the_ca_connects_and_no_other_ca_does(certificates: Path, tmp_path: Path) -> None:
    assert shake_hands(certificates, certificates / "ca.pem", "derma.example.org") == "TLSv1.3"
    make_authority(tmp_path / "other", "alps")
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(certificates, tmp_path / "other" / "ca.pem", "derma.example.org")
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(certificates, certificates / "ca.pem", "evil.example.org")


def test_a_renewal_preserves_key_and_authority_and_takes_new_hosts(certificates: Path) -> None:
    before = {
        name: (certificates / name).read_bytes() for name in ("ca.pem", "ca.key", "server.key", "server.pem")
    }
    issue_server_certificate(certificates, ("new.example.org",))
    changed = {name for name, content in before.items() if (certificates / name).read_bytes() != content}
    assert changed == {"server.pem"}
    assert shake_hands(certificates, certificates / "ca.pem", "new.example.org") == "TLSv1.3"


def test_only_the_owner_reads_the_keys(certificates: Path) -> None:
    assert certificates.stat().st_mode & 0o777 == 0o700
    for name in ("ca.key", "server.key"):
        assert (certificates / name).stat().st_mode & 0o777 == 0o600


def test_an_expired_and_a_future_certificate_are_named(certificates: Path) -> None:
    now = datetime.now(UTC)
    assert timedelta(days=396) < check_server_certificate(certificates, now) <= timedelta(days=397)
    with pytest.raises(InputError, match=r"server's certificate expired on .*fl-server renew"):
        check_server_certificate(certificates, now + timedelta(days=398))
    with pytest.raises(InputError, match=r"not valid before .*clock"):
        check_server_certificate(certificates, now - timedelta(days=2))
    with pytest.raises(InputError, match="authority's certificate expired"):
        check_server_certificate(certificates, now + timedelta(days=3651))


def test_a_certificate_of_another_authority_is_named(certificates: Path, tmp_path: Path) -> None:
    make_authority(tmp_path / "other", "alps")
    shutil.copy(tmp_path / "other" / "ca.pem", certificates / "ca.pem")
    with pytest.raises(InputError, match="not from this federation's authority"):
        check_server_certificate(certificates)


def test_a_key_that_others_may_read_is_refused(certificates: Path) -> None:
    (certificates / "server.key").chmod(0o640)
    with pytest.raises(InputError, match=r"Others may read this .*server\.key"):
        check_server_certificate(certificates)


@pytest.mark.parametrize("name", ["ca.key", "ca.pem", "server.key"])
@pytest.mark.parametrize("content", [None, b"", b"junk"])
def test_damaged_certificates_are_an_error_and_not_a_traceback(
    certificates: Path, name: str, content: bytes | None
) -> None:
    if content is None:
        (certificates / name).unlink()
    else:
        (certificates / name).write_bytes(content)
    if name == "server.key" and content is None:
        issue_server_certificate(certificates, HOSTS)  # a new one is made, with a certificate for it
        check_server_certificate(certificates)
        return
    with pytest.raises(InputError, match=rf"{name}\)\. Restore"):
        issue_server_certificate(certificates, HOSTS)
