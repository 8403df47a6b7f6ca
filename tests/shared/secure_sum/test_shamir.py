from __future__ import annotations

import secrets
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dermafed.shared.secure_sum.shamir import PRIME, SHARE_BYTES, combine_shares, split_secret


def is_prime(number: int) -> bool:
    """Miller and Rabin's test to the first twelve bases."""
    odd, twos = number - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    for base in (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37):
        value = pow(base, odd, number)
        if value not in (1, number - 1) and all(
            (value := value * value % number) != number - 1 for _ in range(twos - 1)
        ):
            return False
    return True


def test_the_field_has_the_smallest_prime_above_two_to_the_256() -> None:
    assert is_prime(PRIME)
    assert not any(is_prime(number) for number in range(2**256 + 1, PRIME, 2))


def test_a_line_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "randbelow", lambda limit: 3)
    shares = split_secret((5).to_bytes(32, "big"), [0, 1, 9], 2)  # 5 + 3 x at 1, 2 and 10
    assert {holder: int.from_bytes(share, "big") for holder, share in shares.items()} == {0: 8, 1: 11, 9: 35}


@settings(max_examples=40, deadline=None)
@given(st.binary(min_size=32, max_size=32), st.integers(1, 5))
def test_any_shares_of_the_threshold_give_the_secret(secret: bytes, threshold: int) -> None:
    shares = split_secret(secret, range(5), threshold)
    assert {len(share) for share in shares.values()} == {SHARE_BYTES}
    for chosen in combinations(shares, threshold):
        assert combine_shares({holder: shares[holder] for holder in chosen}, threshold) == secret


@settings(max_examples=20, deadline=None)
@given(st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32))
def test_fewer_shares_fit_any_other_secret_as_well(secret: bytes, other: bytes) -> None:
    """With two of three shares, some third one gives whatever secret: they say nothing about it."""
    shares = split_secret(secret, range(3), 3)
    # Of the polynomial through the other secret at 0 and the two shares at 1 and 2, the value at 3.
    s, a, b = (int.from_bytes(each, "big") for each in (other, shares[0], shares[1]))
    third = (s - 3 * a + 3 * b) % PRIME
    assert combine_shares({**shares, 2: third.to_bytes(SHARE_BYTES, "big")}, 3) == other


def test_too_few_shares_and_shares_of_nothing_are_refused() -> None:
    shares = split_secret(bytes(32), range(3), 3)
    del shares[1]
    with pytest.raises(ValueError, match="2 shares of the 3"):
        combine_shares(shares, 3)
    with pytest.raises(ValueError, match="not those of one secret"):
        combine_shares({0: (PRIME - 1).to_bytes(SHARE_BYTES, "big")}, 1)
