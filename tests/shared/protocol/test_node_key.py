"""A clinic's public key: as ssh-keygen and openssl see it."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from dermafed.shared.errors import InputError, StorageError
from dermafed.shared.protocol.node_key import (
    fingerprint,
    make_key_pair,
    read_private_key,
    read_public_key,
    to_pem,
)
from tests.server.example_keys import KEY, KEY_FINGERPRINT, KEY_PEM, P256


def test_the_fingerprint_is_that_of_ssh_keygen() -> None:
    assert fingerprint(KEY) == KEY_FINGERPRINT


def test_the_pem_is_that_of_ssh_keygen() -> None:
    assert to_pem(KEY) == KEY_PEM


def test_a_comment_is_removed(tmp_path: Path) -> None:
    (tmp_path / "key.pub").write_text(f"{KEY} dr.who@clinic\n")
    assert read_public_key(tmp_path / "key.pub") == KEY


@pytest.mark.parametrize(
    "text", ["", "key", P256, KEY[:-20], KEY.replace("nistp384", "nistp521", 1), f"{KEY}\n{KEY}", "ä\0"]
)
def test_other_keys_are_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "key.pub").write_text(text)
    with pytest.raises(InputError, match=r"not an EC P-384 public key .*key\.pub\)\. Give the key\.pub"):
        read_public_key(tmp_path / "key.pub")


def test_a_private_key_is_refused_as_such(tmp_path: Path) -> None:
    secret = ec.generate_private_key(ec.SECP384R1()).private_bytes(
        Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()
    )
    (tmp_path / "key").write_bytes(secret)
    with pytest.raises(InputError, match="must not leave the clinic"):
        read_public_key(tmp_path / "key")


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot be read: No such file .*none\.pub"):
        read_public_key(tmp_path / "none.pub")


def test_a_clinic_reads_its_own_private_key(tmp_path: Path) -> None:
    private, public = tmp_path / "key", tmp_path / "key.pub"
    make_key_pair(private, public, "graz")
    own = read_private_key(private).public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    assert own.decode() == read_public_key(public)
    private.write_bytes(private.read_bytes()[:100])
    for path in (private, tmp_path / "none"):
        with pytest.raises(StorageError, match="cannot be read") as caught:
            read_private_key(path)
        assert "PRIVATE KEY" not in str(caught.value)
