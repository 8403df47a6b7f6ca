"""Invitations: read back as written, and refused with every kind of damage."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dermafed.shared.errors import InputError
from dermafed.shared.protocol.invitation import join_address, read_invitation, split_address, write_invitation
from tests.server.example_keys import CA, LEAF, an_invitation


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write_invitation(tmp_path / "graz.json", an_invitation())
    return tmp_path / "graz.json"


def test_it_reads_back_as_written(path: Path) -> None:
    assert read_invitation(path) == an_invitation()


DAMAGE = [
    ("format", 2, "another version"),
    ("format", True, "'format' is not a number"),
    ("federation", "", "not a valid name for a federation"),
    ("federation", "../alps", "not a valid name for a federation"),
    ("federation", 7, "'federation' is not text"),
    ("clinic", "graz\n", "not a valid name for a clinic"),
    ("clinic", None, "'clinic' is not text"),
    ("address", "derma.example.org", "has no port"),
    ("address", "derma.example.org:0", "has no port"),
    ("address", "derma.example.org:65536", "has no port"),
    ("address", "derma.example.org:٣", "has no port"),
    ("address", ":9443", "has no host"),
    ("address", "https://derma.example.org:9443", "has no host"),
    ("address", "300.1.1.1:9443", "has no host"),
    ("address", "::1:9443", "has no host"),
    ("address", "[derma]:9443", "has no host"),
    ("key_fingerprint", "MD5:00", "key's fingerprint"),
    ("key_fingerprint", "SHA256:", "key's fingerprint"),
    ("ca_pem", "", "certificate of one authority"),
    ("ca_pem", CA.replace("MII", "MIJ", 1), "certificate of one authority"),
    ("ca_pem", LEAF, "certificate of one authority"),
    ("ca_pem", CA + LEAF, "certificate of one authority"),
    ("ca_pem", "ä", "certificate of one authority"),
    ("ca_fingerprint", "a8f6", "not that of the CA"),
    ("ca_fingerprint", "", "not that of the CA"),
]


@pytest.mark.parametrize(("field", "value", "message"), DAMAGE)
def test_damage_to_a_field_is_named(path: Path, field: str, value: Any, message: str) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), field: value}))
    with pytest.raises(InputError) as caught:
        read_invitation(path)
    assert message in caught.value.what
    assert caught.value.where == str(path)
    assert caught.value.remedy


def test_a_missing_and_an_unknown_field_are_named(path: Path) -> None:
    values = json.loads(path.read_text())
    for name in values:
        path.write_text(json.dumps({key: value for key, value in values.items() if key != name}))
        with pytest.raises(InputError, match=f"the field '{name}' is missing"):
            read_invitation(path)
    path.write_text(json.dumps({**values, "key": ""}))
    with pytest.raises(InputError, match="the field 'key' is unknown"):
        read_invitation(path)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b"[" * 60_000, b" " * 70_000])
def test_other_files_are_refused(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(InputError, match="invitation cannot be used"):
        read_invitation(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot be read: No such file .*none\.json"):
        read_invitation(tmp_path / "none.json")


@pytest.mark.parametrize(
    ("host", "port", "address"),
    [
        ("derma.example.org", 9443, "derma.example.org:9443"),
        ("10.0.0.1", 1, "10.0.0.1:1"),
        ("::1", 9, "[::1]:9"),
    ],
)
def test_an_address_is_split_as_it_was_joined(host: str, port: int, address: str) -> None:
    assert join_address(host, port) == address
    assert split_address(address) == (host, port)
