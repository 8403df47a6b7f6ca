"""The key context: everything that two sides of one sum must have in common, down to the model sent."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from typing import Self

from dermafed.shared.errors import FederationError
from dermafed.shared.secure_sum.hashing import digest

LONGEST_CONTEXT = 2000  # bytes

_TEXTS = re.compile(r"[a-z0-9.-]{1,64}")


@dataclass(frozen=True)
class Task:
    """What is summed, as a clinic knows it from the request itself.

    Attributes:
        run: Flower's number of the run.
        round: the round's number, from 1.
        label: which of the round's sums, such as ``train``.
        model: SHA-256 of the model that the request brought, hexadecimal.
    """

    run: int
    round: int
    label: str
    model: str


@dataclass(frozen=True)
class KeyContext(Task):
    """The first message of a sum; its digest is in every key, share, mask and signature.

    So clinics that were told different things, such as different models, share no mask: what they send adds
    up to noise (against Pasquini et al. 2022, "Eluding secure aggregation ... via model inconsistency").

    Attributes:
        plan: SHA-256 of the plan, hexadecimal.
        attempt: the attempt's number, from 1.
        roster: the roster's fingerprint.
        threshold: how many clinics must take part, :attr:`dermafed.shared.secure_sum.terms.Terms.threshold`.
        codec: SHA-256 of how the values are encoded.
    """

    plan: str
    attempt: int
    roster: str
    threshold: int
    codec: str

    @cached_property
    def digest(self) -> bytes:
        """SHA-256 of the context, 32 bytes."""
        return digest("context", self.to_bytes())

    def to_bytes(self) -> bytes:
        """The context as JSON, the same bytes for the same context."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":")).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Decode :meth:`to_bytes`.

        Raises:
            FederationError: it is not a context.
        """
        try:
            values = json.loads(data) if len(data) <= LONGEST_CONTEXT else None
        except (ValueError, RecursionError):
            values = None
        kinds = {field.name: int if field.type == "int" else str for field in fields(cls)}
        if not isinstance(values, dict) or values.keys() != kinds.keys():
            raise _no_context()
        if not all(_fits(values[name], kind) for name, kind in kinds.items()):
            raise _no_context()
        return cls(**values)


def _fits(value: object, kind: type) -> bool:
    if type(value) is not kind:
        return False
    return bool(_TEXTS.fullmatch(value)) if isinstance(value, str) else 0 <= int(str(value)) < 2**64


def _no_context() -> FederationError:
    return FederationError(
        "This is not the key context of a secure sum",
        where="secure sum",
        remedy="Install the same version of DermaFed at the server and the clinics",
    )
