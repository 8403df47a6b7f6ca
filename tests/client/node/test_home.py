"""The clinic's folder: its files, who may read them, and which invitations it accepts."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP384R1, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import load_ssh_private_key, load_ssh_public_key

from dermafed.client.node.clinic_settings import ClinicSettings, Limits
from dermafed.client.node.home import Home, make_home, open_home, pin_server, read_settings, server_address
from dermafed.shared.errors import InputError, SettingsError
from dermafed.shared.protocol.certificates import certificate_fingerprint, read_ca
from dermafed.shared.protocol.invitation import Invitation, read_invitation, write_invitation
from dermafed.shared.protocol.node_key import fingerprint, read_public_key
from tests.client.certificates import certificate


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return make_home(tmp_path / "graz", "graz", tmp_path / "data")


def invitation(home: Home, tmp_path: Path) -> Invitation:
    pem = certificate(tmp_path / "trust").ca.read_text()
    key = fingerprint(read_public_key(home.public_key))
    ca_fingerprint = certificate_fingerprint(read_ca(pem))
    return Invitation("alps", "derma.example.org:9443", "graz", key, pem, ca_fingerprint)


def test_only_the_public_key_may_be_read_by_others(home: Home) -> None:
    modes = {path.name: path.stat().st_mode & 0o777 for path in home.folder.iterdir()}
    public = modes.pop("key.pub")
    assert public & 0o400
    assert modes == {
        **dict.fromkeys(("offers", "models", "node"), 0o700),
        **dict.fromkeys(("key", "worker.secret", "clinic.toml"), 0o600),
    }
    assert home.folder.stat().st_mode & 0o777 == 0o700


def test_the_keys_are_a_pair_on_p384(home: Home) -> None:
    private = load_ssh_private_key(home.key.read_bytes(), None)
    assert isinstance(private, EllipticCurvePrivateKey)
    assert isinstance(private.curve, SECP384R1)
    assert private.public_key() == load_ssh_public_key(home.public_key.read_bytes())
    assert len(home.secret.read_bytes()) == 32


def test_new_settings_are_the_defaults(home: Home, tmp_path: Path) -> None:
    assert read_settings(home) == ClinicSettings("graz", tmp_path / "data", 0, Limits())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("clinic =", "clinik ="),
        ("port = 0", "port = 'x'"),
        ('"ask"', '"perhaps"'),
        ("[limits]", "[limits"),
        ("port", "prot"),
    ],
)
def test_damaged_settings_are_named(home: Home, old: str, new: str) -> None:
    home.settings_file.write_text(home.settings_file.read_text().replace(old, new, 1))
    with pytest.raises(SettingsError, match=r"clinic\.toml"):
        read_settings(home)


def test_a_folder_in_use_is_left_alone(home: Home, tmp_path: Path) -> None:
    before = home.key.read_bytes()
    with pytest.raises(SettingsError, match="in use"):
        make_home(home.folder, "graz", tmp_path)
    assert home.key.read_bytes() == before
    with pytest.raises(SettingsError, match="not a clinic's folder"):
        open_home(tmp_path)


def test_joining_pins_address_and_authority(home: Home, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="not joined"):
        server_address(home)
    given = invitation(home, tmp_path)
    pin_server(home, given)
    assert server_address(home) == "derma.example.org:9443"
    assert home.ca.read_text() == given.ca_pem
    assert {path.stat().st_mode & 0o777 for path in (home.ca, home.server_file)} == {0o600}


def test_an_invitation_for_another_is_refused(home: Home, tmp_path: Path) -> None:
    given = invitation(home, tmp_path)
    other = make_home(tmp_path / "other", "graz", tmp_path)
    for wrong, message in (
        (replace(given, clinic="wien"), "for wien"),
        (replace(given, key_fingerprint=fingerprint(read_public_key(other.public_key))), "another key"),
    ):
        with pytest.raises(SettingsError, match=message):
            pin_server(home, wrong)
    assert not home.server_file.exists()


def test_a_changed_authority_is_noticed(home: Home, tmp_path: Path) -> None:
    path = tmp_path / "invitation.json"
    write_invitation(path, invitation(home, tmp_path))
    values = json.loads(path.read_text())
    values["ca_pem"] = certificate(tmp_path / "foreign").ca.read_text()
    path.write_text(json.dumps(values))
    with pytest.raises(InputError, match="fingerprint"):
        read_invitation(path)


def test_a_second_invitation_replaces_the_server_only_if_a_person_says_so(home: Home, tmp_path: Path) -> None:
    first = invitation(home, tmp_path)
    pin_server(home, first)
    pin_server(home, first)  # the same again is nothing new
    pem = certificate(tmp_path / "foreign").ca.read_text()
    told = certificate_fingerprint(read_ca(pem))
    before = home.server_file.read_bytes(), home.ca.read_bytes()
    for other in (
        replace(first, ca_pem=pem, ca_fingerprint=told),
        replace(first, address="elsewhere.example.org:9443"),
    ):
        with pytest.raises(SettingsError, match="trusts another server") as caught:
            pin_server(home, other)
        assert first.ca_fingerprint in caught.value.what
        assert other.ca_fingerprint in caught.value.what
        assert other.address in caught.value.what
        assert "--replace" in caught.value.remedy
        assert (home.server_file.read_bytes(), home.ca.read_bytes()) == before
        pin_server(home, other, replace=True)
        assert server_address(home) == other.address
        assert home.ca.read_text() == other.ca_pem
        pin_server(home, first, replace=True)


def test_a_damaged_pin_is_not_replaced_in_silence(home: Home, tmp_path: Path) -> None:
    given = invitation(home, tmp_path)
    pin_server(home, given)
    home.server_file.write_text("{")
    with pytest.raises(SettingsError, match="unknown"):
        pin_server(home, given)
