"""The open exchange: who was asked, who replied, who is late; and its file."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from dermafed.server.rounds.open_exchange import (
    EXCHANGE_FILE,
    OpenExchange,
    Traffic,
    Turn,
    load_exchange,
    save_exchange,
)
from dermafed.shared.protocol.messages import AUDIT_QUERY, FINDER_QUERY, LESIONS_QUERY, Refusal
from dermafed.shared.protocol.sum_messages import (
    SUM_KEYS,
    SUM_PARTS,
    SUM_RELEASE,
    SUM_SHARES,
    SUM_SURVIVORS,
    SUMMED,
)

NOON = datetime(2027, 3, 1, 12, tzinfo=UTC)

SUM_STEPS = (SUM_KEYS, SUM_PARTS, SUM_SHARES, SUM_SURVIVORS, SUM_RELEASE, *SUMMED.values())


def at(seconds: int) -> str:
    return (NOON + timedelta(seconds=seconds)).isoformat()


def test_turns_attempts_and_traffic_follow_the_messages(tmp_path: Path) -> None:
    exchange = OpenExchange()
    for clinic in ("graz", "linz", "wels"):
        exchange = exchange.asked(clinic, "train", 1, 60, 100)
    exchange = exchange.answered("graz", "", 40).answered("linz", "training failed there (OSError)", 0)
    assert (exchange.words, exchange.attempt, exchange.replied) == ("training", 1, 1)
    assert list(exchange.waiting) == ["wels"]
    assert exchange.problems == {"linz": "training failed there (OSError)"}
    again = exchange.asked("graz", "train", 1, 60, 100)
    assert (again.attempt, list(again.turns)) == (2, ["graz"])
    evaluation = again.asked("graz", "evaluate", 1, 60, 100)
    assert (evaluation.attempt, list(evaluation.turns)) == (1, ["graz"])
    assert evaluation.traffic == {"graz": Traffic(300, 40), "linz": Traffic(100), "wels": Traffic(100)}
    save_exchange(tmp_path, evaluation)
    assert load_exchange(tmp_path) == evaluation


def test_who_gets_a_model_in_full_has_the_same_turn() -> None:
    problem = Refusal.MODEL_UNKNOWN.name.replace("_", " ").lower()
    asked = OpenExchange().asked("graz", "train", 1, 60, 100)
    assert asked.answered("graz", problem, 0).asked("graz", "train", 1, 60, 100).attempt == 1
    assert asked.answered("graz", "training failed there", 0).asked("graz", "train", 1, 60, 100).attempt == 2


def test_a_clinic_is_late_by_the_others_time() -> None:
    turns = {"graz": Turn(at(0), at(10)), "linz": Turn(at(0), at(20)), "wels": Turn(at(1))}
    exchange = OpenExchange("train", 1, 1, 900, turns)
    assert exchange.late(NOON + timedelta(seconds=41)) == []  # 40 s, and the slowest took 20
    assert exchange.late(NOON + timedelta(seconds=42)) == ["wels"]
    half = replace(exchange, turns=turns | {"linz": Turn(at(0)), "enns": Turn(at(0))})
    assert half.late(NOON + timedelta(hours=1)) == []  # only one of four has replied


def test_a_missing_or_damaged_file_is_no_exchange(tmp_path: Path) -> None:
    assert load_exchange(tmp_path) is None
    for text in ("[1]", "{", '{"turns": {}, "traffic": {}, "else": 1}', '{"turns": [], "traffic": []}'):
        (tmp_path / EXCHANGE_FILE).write_text(text)
        assert load_exchange(tmp_path) is None


def test_only_calibration_is_called_calibration() -> None:
    kinds = (AUDIT_QUERY, FINDER_QUERY, LESIONS_QUERY, *SUM_STEPS)
    words = {OpenExchange(kind=kind).words for kind in kinds}
    assert len(words) == len(kinds)
    assert "calibration" not in words
