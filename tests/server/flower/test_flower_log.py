"""What a clinic can make Flower write into the server's log."""

from __future__ import annotations

import logging

import pytest

from dermafed.server.flower.flower_log import LINES_AN_HOUR, LONGEST, FlowerLog


@pytest.fixture
def flower(caplog: pytest.LogCaptureFixture) -> logging.Logger:
    log = logging.Logger("flwr")
    log.addFilter(FlowerLog())
    log.addHandler(caplog.handler)
    return log


def test_an_error_with_a_code_is_no_more_than_that(
    flower: logging.Logger, caplog: pytest.LogCaptureFixture
) -> None:
    place = "[/v1/fleet/push-messages][UnexpectedError:IntegrityError]"
    flower.error("%s (sqlite3.IntegrityError) [parameters: ('Maria',)]", place)
    assert caplog.messages == [place]


def test_lines_are_short_printable_and_few(flower: logging.Logger, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(10 * LINES_AN_HOUR):
        flower.error("Failed to store object %s", "\x1b[2J\r\n" * 1000)
    assert len(caplog.messages) == LINES_AN_HOUR
    assert all(text.isprintable() and len(text) <= LONGEST for text in caplog.messages)


def test_after_an_hour_there_are_lines_again(
    flower: logging.Logger, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2 * LINES_AN_HOUR):
        flower.error("a")
    monkeypatch.setattr("time.monotonic", lambda: 1e9)
    flower.error("b")
    assert caplog.messages[-1] == "b"
