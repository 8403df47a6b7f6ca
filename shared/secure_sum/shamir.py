"""Shamir's secret sharing: any ``threshold`` shares give the secret, fewer say nothing about it.

Shamir, "How to share a secret" (1979): the secret is the value at 0 of a random polynomial of degree
threshold - 1 over a prime field, a share its value at another point.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from functools import reduce
from math import prod

PRIME = 2**256 + 297
"""The smallest prime above 2**256: any 32 bytes are a secret."""

SECRET_BYTES, SHARE_BYTES = 32, 33


def split_secret(secret: bytes, holders: Iterable[int], threshold: int) -> dict[int, bytes]:
    """Split a secret.

    Args:
        secret: 32 bytes.
        holders: the holders' places in the roster, from 0; holder h gets the polynomial's value at h + 1.
        threshold: how many shares give the secret, at least 1.

    Returns:
        Each holder's share, 33 bytes.
    """
    first = int.from_bytes(secret, "big")
    coefficients = [first, *(secrets.randbelow(PRIME) for _ in range(threshold - 1))]
    return {holder: _value(coefficients, holder + 1).to_bytes(SHARE_BYTES, "big") for holder in holders}


def combine_shares(shares: Mapping[int, bytes], threshold: int) -> bytes:
    """The secret, by Lagrange's formula at 0 from the first ``threshold`` of the shares.

    Raises:
        ValueError: there are fewer, or they are not shares of one secret of 32 bytes.
    """
    points = sorted(shares)[:threshold]
    if len(points) < threshold:
        raise ValueError(f"{len(points)} shares of the {threshold} that give the secret")
    terms = (
        int.from_bytes(shares[at], "big") * _basis([other + 1 for other in points], at + 1) for at in points
    )
    return _to_secret(sum(terms) % PRIME)


def _value(coefficients: list[int], at: int) -> int:
    """The polynomial's value, by Horner's rule."""
    return reduce(lambda value, coefficient: (value * at + coefficient) % PRIME, reversed(coefficients), 0)


def _basis(points: list[int], at: int) -> int:
    """Lagrange's basis polynomial of ``at``, at 0."""
    others = [point for point in points if point != at]
    # Of small numbers: a product without remainders in between is faster.
    above, below = prod(others), prod(point - at for point in others)
    return above * pow(below, -1, PRIME) % PRIME


def _to_secret(value: int) -> bytes:
    if value >> 8 * SECRET_BYTES:
        raise ValueError("the shares are not those of one secret of 32 bytes")
    return value.to_bytes(SECRET_BYTES, "big")
