"""Sessions of calls, by a clock that the test turns, and a tag by OpenSSL's HMAC."""

from __future__ import annotations

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC

from dermafed.server.flower.call_sessions import SESSION_SECONDS, CallSessions
from dermafed.shared.protocol.call_sessions import Secret

PATH = "/v1/dermafed/receive"


def test_a_tag_is_the_hmac_of_path_session_time_and_number() -> None:
    secret = Secret("abc", bytes(range(32)))
    expected = HMAC(bytes(range(32)), SHA256())
    expected.update(b"/v1/dermafed/receive abc 2026-11-30T12:00:00+00:00 7")
    assert secret.tag(PATH, "abc 2026-11-30T12:00:00+00:00 7") == expected.finalize().hex()
    assert Secret.parse(secret.text()) == secret


def test_a_session_is_its_nodes_for_an_hour() -> None:
    now = 100.0
    sessions = CallSessions(lambda: now)
    mine, other = sessions.new(7), sessions.new(8)
    assert mine.key != other.key
    assert len(mine.key) == 32
    call = f"{mine.name} now 1"
    assert sessions.node_of(PATH, call, mine.tag(PATH, call)) == 7
    for path, wrong, tag in (
        (PATH, call, other.tag(PATH, call)),
        (PATH, call + "2", mine.tag(PATH, call)),
        ("/v1/dermafed/reply", call, mine.tag(PATH, call)),
        (PATH, call, "é"),
        (PATH, "nobody now 1", mine.tag(PATH, "nobody now 1")),
    ):
        assert sessions.node_of(path, wrong, tag) is None
    now += SESSION_SECONDS - 1
    assert sessions.node_of(PATH, call, mine.tag(PATH, call)) == 7
    now += 1
    assert sessions.node_of(PATH, call, mine.tag(PATH, call)) is None


def test_a_node_has_four_sessions_and_the_oldest_ends() -> None:
    sessions = CallSessions()
    first, *rest = (sessions.new(7) for _ in range(5))
    assert sessions.node_of(PATH, f"{first.name} x", first.tag(PATH, f"{first.name} x")) is None
    for one in rest:
        assert sessions.node_of(PATH, f"{one.name} x", one.tag(PATH, f"{one.name} x")) == 7
