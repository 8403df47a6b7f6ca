"""Tokens and sessions: who has access, for how long, and what is stored of a secret."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from dermafed.client.clinic.http.limits import RateLimit
from dermafed.client.clinic.http.tokens import Caller, Sessions, Tokens
from dermafed.shared.errors import SettingsError
from dermafed.shared.port.access_tokens import digest_of


class Clock:
    """A clock that a test sets."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def tokens(tmp_path: Path) -> Tokens:
    return Tokens(tmp_path / "tokens")


def test_a_token_is_long_and_only_its_digest_is_saved(tokens: Tokens, tmp_path: Path) -> None:
    token = tokens.make("camera-1", "device")
    assert len(token) >= 43  # 256 bits, six to a letter
    (file,) = (tmp_path / "tokens").iterdir()
    assert token not in file.read_text()
    assert hashlib.sha256(token.encode()).hexdigest() in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700


def test_each_token_is_its_own(tokens: Tokens) -> None:
    camera, anna = tokens.make("camera-1", "device"), tokens.make("anna", "clinician")
    assert tokens.find_caller(digest_of(camera)) == Caller("camera-1", "device")
    assert tokens.find_caller(digest_of(anna)) == Caller("anna", "clinician")
    assert tokens.find_caller(digest_of(anna + "x")) is None
    assert tokens.find_caller("") is None


def test_a_name_has_one_token_until_it_is_revoked(tokens: Tokens) -> None:
    first = tokens.make("camera-1", "device")
    with pytest.raises(SettingsError, match="has a token"):
        tokens.make("camera-1", "device")
    tokens.revoke("camera-1")
    assert tokens.find_caller(digest_of(first)) is None
    assert tokens.make("camera-1", "device") != first
    with pytest.raises(SettingsError, match="has no token"):
        tokens.revoke("camera-2")


@pytest.mark.parametrize("name", ["../key", "", "a b", "x" * 64, ".hidden"])
def test_a_name_cannot_be_a_path(tokens: Tokens, name: str) -> None:
    with pytest.raises(SettingsError, match="not a valid name"):
        tokens.make(name, "device")


def test_a_file_that_is_not_a_token_is_ignored(tokens: Tokens, tmp_path: Path) -> None:
    token = tokens.make("anna", "clinician")
    for name, text in (
        ("a", "{"),
        ("b", "{}"),
        ("c", "[]"),
        ("d", f'{{"role":"x","sha256":"{digest_of("t")}"}}'),
    ):
        (tmp_path / "tokens" / f"{name}.json").write_text(text)
    assert tokens.find_caller(digest_of("t")) is None
    assert tokens.find_caller(digest_of(token)) == Caller("anna", "clinician")


def test_a_session_ends_after_its_time_at_sign_out_and_with_its_token(tokens: Tokens) -> None:
    clock = Clock()
    sessions, token = Sessions(tokens, 60, clock), tokens.make("anna", "clinician")
    late, out, gone = (sessions.sign_in(token) or "" for _ in range(3))
    assert len({late, out, gone}) == 3
    assert sessions.find_caller(late) == Caller("anna", "clinician")
    sessions.sign_out(out)
    assert sessions.find_caller(out) is None
    clock.now += 60
    assert sessions.find_caller(late) is None
    gone = sessions.sign_in(token) or ""
    tokens.revoke("anna")
    assert sessions.find_caller(gone) is None


def test_a_device_and_a_wrong_token_get_no_session(tokens: Tokens) -> None:
    sessions = Sessions(tokens, 60)
    assert sessions.sign_in(tokens.make("camera-1", "device")) is None
    assert sessions.sign_in("guess") is None
    assert sessions.find_caller("") is None


def test_a_new_token_of_the_same_name_does_not_revive_a_session(tokens: Tokens) -> None:
    sessions = Sessions(tokens, 60)
    cookie = sessions.sign_in(tokens.make("anna", "clinician")) or ""
    tokens.revoke("anna")
    tokens.make("anna", "clinician")
    assert sessions.find_caller(cookie) is None


def test_a_bucket_allows_a_minutes_requests_and_refills_steadily() -> None:
    clock = Clock()
    limit = RateLimit(6, clock)
    assert [limit.take("a") for _ in range(6)] == [0] * 6
    assert limit.take("a") == pytest.approx(10)  # six a minute: one each ten seconds
    assert limit.take("b") == 0
    clock.now += 4
    assert limit.take("a") == pytest.approx(6)
    clock.now += 6
    assert limit.take("a") == 0
    clock.now += 3600
    assert [limit.take("a") for _ in range(7)][-1] > 0, "more than a minute's is never saved up"
