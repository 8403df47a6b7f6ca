"""The clinics of a sum, with the keys that they enrolled with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Self

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from dermafed.shared.errors import InputError
from dermafed.shared.secure_sum.hashing import digest


@dataclass(frozen=True)
class Roster:
    """The clinics in alphabetical order; a clinic's place in it, from 0, stands for it in all messages.

    Attributes:
        names: the clinics' names, ascending.
        keys: their EC P-384 public keys, in the same order.
    """

    names: tuple[str, ...]
    keys: tuple[ec.EllipticCurvePublicKey, ...] = field(repr=False)

    @classmethod
    def from_pem(cls, keys: Mapping[str, bytes]) -> Self:
        """The roster of clinics with these enrolment keys (PEM, SubjectPublicKeyInfo).

        Raises:
            InputError: one is not an EC P-384 public key, or two clinics have the same.
        """
        names = tuple(sorted(keys))
        roster = cls(names, tuple(_load(name, keys[name]) for name in names))
        if len(set(map(_der, roster.keys))) < len(names):
            raise InputError(
                "Two clinics of the roster have the same key",
                where="roster",
                remedy="Enrol each clinic with a key of its own",
            )
        return roster

    def __len__(self) -> int:
        return len(self.names)

    def place(self, name: str) -> int:
        """A clinic's place.

        Raises:
            InputError: it is not in the roster.
        """
        if name not in self.names:
            raise InputError("This clinic is not in the roster", where=name, remedy="Ask the coordinator")
        return self.names.index(name)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of names and keys, hexadecimal: what a clinic approves."""
        fields = (
            part
            for name, key in zip(self.names, self.keys, strict=True)
            for part in (name.encode(), _der(key))
        )
        return digest("roster", *fields).hex()


def _load(name: str, pem: bytes) -> ec.EllipticCurvePublicKey:
    try:
        key = serialization.load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP384R1):
        return key
    raise InputError(
        "This is not an EC P-384 public key in PEM", where=name, remedy="Give the key that it enrolled with"
    )


def _der(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
