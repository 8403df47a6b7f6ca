from __future__ import annotations

import hashlib
import hmac

import numpy as np
import pytest
from Crypto.Cipher import AES as OtherAES  # Flower's own dependency, another implementation

from dermafed.shared.secure_sum.masks import (
    Ring,
    add_mask,
    add_pair_mask,
    add_self_mask,
    derive_key,
)

KEY, SESSION = bytes(range(32)), b"s" * 32


def mask_of(key: bytes, size: int) -> Ring:
    mask = np.zeros(size, np.uint32)
    add_mask(mask, key)
    return mask


def irregularity(numbers: Ring) -> float:
    """How many standard deviations the chi-square of its bytes, or the share of any bit, is off at most."""
    counts = np.bincount(numbers.view(np.uint8), minlength=256)
    expected = counts.sum() / 256
    chi_square = ((counts - expected) ** 2 / expected).sum()
    bits = np.array([((numbers >> np.uint32(bit)) & 1).mean() for bit in range(32)])
    of_bits = np.abs(bits - 0.5) * 2 * np.sqrt(numbers.size)
    return float(max(abs(chi_square - 255) / np.sqrt(2 * 255), of_bits.max()))


@pytest.mark.parametrize("size", [1, 5, 65_536, 65_537, 200_003])
def test_a_mask_is_the_keystream_of_another_implementation(size: int) -> None:
    stream = OtherAES.new(KEY, OtherAES.MODE_CTR, nonce=b"", initial_value=0).encrypt(bytes(4 * size))
    np.testing.assert_array_equal(mask_of(KEY, size), np.frombuffer(stream, "<u4"))


def test_a_key_is_hkdf_of_the_secret() -> None:
    purpose = b"DermaFed secure sum 1", b"pair mask", b"\x00\x02\x01\x00"
    info = b"".join(len(field).to_bytes(4, "big") + field for field in purpose)
    extracted = hmac.digest(SESSION, b"secret", hashlib.sha256)
    expanded = hmac.digest(extracted, info + b"\x01", hashlib.sha256)
    assert derive_key(b"secret", SESSION, "pair mask", 2, 256) == expanded


def test_masks_are_uniform() -> None:
    """Six standard deviations: chance fails it once in ten million; what is known to be uneven fails it."""
    numbers = mask_of(KEY, 500_000)
    assert irregularity(numbers) < 6
    assert irregularity(numbers >> np.uint32(1)) > 6
    assert irregularity((numbers >> np.uint32(1)) + (mask_of(SESSION, numbers.size) >> np.uint32(1))) > 6


def test_no_two_masks_are_the_same() -> None:
    secret, other = b"a" * 32, b"b" * 32
    masks = []
    for session in (SESSION, b"t" * 32):
        for seed in (secret, other):
            for clinic, peer in ((0, 1), (0, 2), (1, 2)):
                masks.append(np.zeros(8, np.uint32))
                add_pair_mask(masks[-1], seed, session, clinic, peer)
            for clinic in (0, 1):
                masks.append(np.zeros(8, np.uint32))
                add_self_mask(masks[-1], seed, session, clinic)
    assert len({mask.tobytes() for mask in masks}) == len(masks) == 20
    assert not {(-mask).tobytes() for mask in masks} & {mask.tobytes() for mask in masks}


def test_the_masks_of_a_pair_cancel_and_each_can_be_taken_off() -> None:
    start = np.arange(100_000, dtype=np.uint32) * np.uint32(40_503)
    one, two = start.copy(), start.copy()
    add_pair_mask(one, b"agreed" * 5, SESSION, 3, 8)
    add_pair_mask(two, b"agreed" * 5, SESSION, 8, 3)
    assert (one != start).mean() > 0.99
    np.testing.assert_array_equal(one + two, start + start)
    add_pair_mask(two, b"agreed" * 5, SESSION, 8, 3, subtract=True)
    np.testing.assert_array_equal(two, start)
    add_self_mask(two, KEY, SESSION, 8)
    add_self_mask(two, KEY, SESSION, 8, subtract=True)
    np.testing.assert_array_equal(two, start)
