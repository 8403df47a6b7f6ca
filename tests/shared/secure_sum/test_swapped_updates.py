"""The server cannot tell which of two honest clinics sent which update: both stories have the same bytes.

What explains the other story is another mask of the two, derived here. To see that no key has this mask, one
would have to tell AES-256 in counter mode from random numbers, or to find what the two agreed on by X25519.
"""

from __future__ import annotations

import random
import secrets
from typing import Any

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from dermafed.shared.secure_sum import clinic_side
from dermafed.shared.secure_sum.fixed_point import Part
from dermafed.shared.secure_sum.masks import add_pair_mask
from dermafed.shared.secure_sum.released_shares import ReleasedShares, Secret
from dermafed.shared.secure_sum.round_secrets import RoundSecrets, agree
from dermafed.shared.secure_sum.sealed_shares import unseal
from dermafed.shared.secure_sum.shamir import combine_shares
from tests.shared.secure_sum.federation import MASKED, SIGNED, Federation, random_values, terms

SIZE = 50
private_key = X25519PrivateKey.from_private_bytes
TERMS = terms(5, 0, (Part("delta", SIZE, 4.0),))
VALUES = random_values(np.random.default_rng(3), 5, TERMS.layout)
SWAPPED = {**VALUES, 1: VALUES[3], 3: VALUES[1]}


def transcript(
    monkeypatch: pytest.MonkeyPatch, values: dict[int, Any], drops: dict[int, str], seed: int = 0
) -> tuple[list[bytes], Federation]:
    """All that the server receives, with secrets drawn from this seed, in place of the system's generator."""
    rng = random.Random(seed)
    monkeypatch.setattr(secrets, "token_bytes", rng.randbytes)
    monkeypatch.setattr(secrets, "randbelow", rng.randrange)
    federation = Federation(TERMS, values, drops)
    federation.run()
    return [message.to_bytes() for message in federation.transcript], federation


def mask_of_the_two(federation: Federation) -> np.ndarray:
    """What clinic 1 adds and clinic 3 subtracts."""
    mask, session = np.zeros(SIZE, np.uint32), federation.server._session
    add_pair_mask(mask, agreed_secret(federation), session.digest, 1, 3)
    return mask


def agreed_secret(federation: Federation) -> bytes:
    """As only the two know it."""
    return agree(drawn()[1].mask_key, federation.server._adverts[3].mask_key)


def drawn(seed: int = 0) -> list[RoundSecrets]:
    """What each clinic has drawn from the test's generator in step 1."""
    rng = random.Random(seed)
    drawn = [[rng.randbytes(32) for _ in range(4)] for _ in range(5)]
    return [RoundSecrets(*map(private_key, keys[:2]), *keys[2:]) for keys in drawn]


@pytest.mark.parametrize("drops", [{}, {0: MASKED}, {0: MASKED, 4: SIGNED}])
def test_two_updates_swapped_are_explained_by_another_mask(
    monkeypatch: pytest.MonkeyPatch, drops: dict[int, str]
) -> None:
    seen, federation = transcript(monkeypatch, VALUES, drops)
    one, three = (TERMS.layout.encode(VALUES[clinic]) for clinic in (1, 3))
    explaining = mask_of_the_two(federation) + one - three

    def add_derived(vector: np.ndarray, secret: bytes, session: bytes, clinic: int, peer: int) -> None:
        if {clinic, peer} == {1, 3}:
            combine = np.add if clinic == 1 else np.subtract
            combine(vector, explaining, out=vector)
        else:
            add_pair_mask(vector, secret, session, clinic, peer)

    # The control: with the masks as they are, the swapped story has other bytes.
    assert transcript(monkeypatch, SWAPPED, drops)[0] != seen
    monkeypatch.setattr(clinic_side, "add_pair_mask", add_derived)
    assert transcript(monkeypatch, SWAPPED, drops)[0] == seen
    # Nor does anything that was opened say which mask it was.
    keys = {
        dealer
        for message in federation.transcript
        if isinstance(message, ReleasedShares)
        for dealer, secret, _ in message.shares
        if secret is Secret.MASK_KEY
    }
    assert keys == {clinic for clinic in drops if drops[clinic] == MASKED}


def test_whoever_opens_the_key_of_one_of_them_sees_which_mask_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: with three shares of the mask key of clinic 1, the other story is refuted."""
    _, federation = transcript(monkeypatch, VALUES, {})
    # As the server could if three clinics had called clinic 1 dead: their shares are opened here.
    key = combine_shares(shares_of_its_key(federation), 3)
    mask, session = np.zeros(SIZE, np.uint32), federation.server._session
    add_pair_mask(mask, agree(private_key(key), session.adverts[3].mask_key), session.digest, 1, 3)
    np.testing.assert_array_equal(mask, mask_of_the_two(federation))
    one, three = (TERMS.layout.encode(VALUES[clinic]) for clinic in (1, 3))
    assert (mask != mask + one - three).any()


def shares_of_its_key(federation: Federation) -> dict[int, bytes]:
    session, found = federation.server._session, {}
    for holder, sealed in federation.server._dealt[1].shares:
        agreed = agree(drawn()[holder].share_key, session.adverts[1].share_key)
        pair = unseal(sealed, agreed, session.digest, 1, holder)
        assert pair is not None
        found[holder] = pair.mask_key
    return found
