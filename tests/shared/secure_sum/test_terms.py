from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dermafed.shared.errors import FederationError, InputError, SettingsError
from dermafed.shared.secure_sum.context import LONGEST_CONTEXT, KeyContext
from dermafed.shared.secure_sum.fixed_point import Layout, Part
from dermafed.shared.secure_sum.roster import Roster
from tests.shared.secure_sum.federation import enrolment_key, name, pem, roster, task, terms

TERMS = terms(5)
CONTEXT = TERMS.context(task(), 1)


def test_what_both_sides_agreed_on_is_accepted() -> None:
    TERMS.check(KeyContext.from_bytes(CONTEXT.to_bytes()), task())
    assert CONTEXT.threshold == 4
    assert CONTEXT.roster == roster(5).fingerprint


@pytest.mark.parametrize(
    ("field", "value", "why"),
    [
        ("plan", "e" * 64, "another plan"),
        ("run", 8, "another run"),
        ("round", 2, "another round"),
        ("label", "evaluate", "other values"),
        ("model", "e" * 64, "another model"),
        ("roster", "e" * 64, "another roster"),
        ("threshold", 3, "another threshold"),
        ("codec", "e" * 64, "encodes the values otherwise"),
        ("attempt", 4, "attempt 4 of 3"),
    ],
)
def test_each_difference_is_refused_and_changes_the_digest(field: str, value: object, why: str) -> None:
    other = replace(CONTEXT, **{field: value})
    assert other.digest != CONTEXT.digest
    with pytest.raises(FederationError, match=why) as refused:
        TERMS.check(other, task())
    assert refused.value.where == "secure sum"
    assert refused.value.remedy


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"[" * 1500,
        b"{}",
        CONTEXT.to_bytes().replace(b'"run":7', b'"run":"7"'),
        CONTEXT.to_bytes().replace(b'"run":7', b'"run":-7'),
        CONTEXT.to_bytes().replace(b'"run":7', b'"run":true'),
        CONTEXT.to_bytes().replace(b'"run":7', b'"run":7,"more":1'),
        CONTEXT.to_bytes().replace(b"train", b"a'b"),
        CONTEXT.to_bytes().replace(b"train", b"t" * LONGEST_CONTEXT),
    ],
)
def test_what_is_no_context_is_refused(data: bytes) -> None:
    with pytest.raises(FederationError, match="not the key context"):
        KeyContext.from_bytes(data)


@given(st.binary(max_size=100))
def test_any_bytes_are_no_context(data: bytes) -> None:
    with pytest.raises(FederationError):
        KeyContext.from_bytes(data)


def test_a_roster_has_the_clinics_in_alphabetical_order() -> None:
    keys = {who: pem(enrolment_key(at)) for at, who in enumerate("cab")}
    found = Roster.from_pem(keys)
    assert found.names == ("a", "b", "c")
    assert found.place("c") == 2
    assert found.fingerprint == Roster.from_pem(dict(sorted(keys.items()))).fingerprint
    swapped = Roster.from_pem({**keys, "a": keys["b"], "b": keys["a"]})
    assert swapped.fingerprint != found.fingerprint
    with pytest.raises(InputError, match="not in the roster"):
        found.place("d")


def test_wrong_and_equal_keys_are_refused() -> None:
    with pytest.raises(InputError, match="not an EC P-384 public key"):
        Roster.from_pem({"a": b"-----BEGIN PUBLIC KEY-----"})
    with pytest.raises(InputError, match="have the same key"):
        Roster.from_pem({"a": pem(enrolment_key(0)), "b": pem(enrolment_key(0))})


def test_terms_without_three_honest_clinics_are_refused() -> None:
    assert name(0) in roster(3).names
    layout = Layout((Part("delta", 1, 1.0),), 3)
    with pytest.raises(SettingsError, match="fewer than 3 honest"):
        replace(TERMS, roster=roster(3), colluders=1, layout=layout)
