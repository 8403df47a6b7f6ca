"""The places of requests in a run."""

from __future__ import annotations

from pathlib import Path

import pytest
from flwr.app import ConfigRecord, RecordDict

from dermafed.client.node.answered import Answered, Request
from dermafed.client.node.replying import NotApproved
from dermafed.shared.protocol.messages import (
    AUDIT_QUERY,
    CALIBRATE_QUERY,
    LESIONS_QUERY,
    OFFSETS_QUERY,
    SCORES_QUERY,
)


def content(value: int) -> RecordDict:
    return RecordDict({"a": ConfigRecord({"value": value})})


def calibrate(number: int, model: str = "m") -> Request:
    return Request(CALIBRATE_QUERY, 3, f"{number:064x}", model)


def test_one_model_is_calibrated_in_two_steps(tmp_path: Path) -> None:
    answered = Answered(tmp_path)
    for number in (1, 2, 1, 2):
        reply = answered.answer(calibrate(number), lambda number=number: content(number))  # type: ignore[misc]
        assert reply.object_id == content(number).object_id
    for request in (calibrate(3), calibrate(4, "other")):
        with pytest.raises(NotApproved, match="already"):
            answered.answer(request, lambda: content(0))


def test_another_model_is_not_calibrated_even_once(tmp_path: Path) -> None:
    answered = Answered(tmp_path)
    answered.answer(calibrate(1), lambda: content(1))
    with pytest.raises(NotApproved, match="Another model"):
        answered.answer(calibrate(2, "other"), lambda: content(2))


def offsets(number: int, model: str = "m") -> Request:
    return Request(OFFSETS_QUERY, 3, f"{number:064x}", model)


def test_a_calibrated_model_is_asked_for_at_so_many_points(tmp_path: Path) -> None:
    answered = Answered(tmp_path)
    with pytest.raises(NotApproved, match="not calibrated"):
        answered.answer(offsets(0), lambda: content(0))
    answered.answer(calibrate(1), lambda: content(1))
    with pytest.raises(NotApproved, match="Another model"):
        answered.answer(offsets(0, "other"), lambda: content(0))
    for number in range(24):
        answered.answer(offsets(number), lambda: content(0))
    answered.answer(offsets(7), lambda: content(1))  # again, the same
    with pytest.raises(NotApproved, match="already"):
        answered.answer(offsets(24), lambda: content(0))
    answered.answer(calibrate(2), lambda: content(2))


def test_a_calibrated_models_scores_are_counted_once(tmp_path: Path) -> None:
    answered = Answered(tmp_path)
    first, other = (Request(SCORES_QUERY, 3, f"{number:064x}", "m") for number in (1, 2))
    with pytest.raises(NotApproved, match="not calibrated"):
        answered.answer(first, lambda: content(0))
    answered.answer(calibrate(1), lambda: content(1))
    for _ in range(2):
        assert answered.answer(first, lambda: content(7)).object_id == content(7).object_id
    with pytest.raises(NotApproved, match="already"):
        answered.answer(other, lambda: content(8))
    with pytest.raises(NotApproved, match="Another model"):
        answered.answer(Request(SCORES_QUERY, 3, "3" * 64, "other"), lambda: content(0))


def test_what_was_answered_is_counted_before_it_leaves(tmp_path: Path) -> None:
    Answered(tmp_path).answer(Request("train", 1, "a" * 64, "m"), lambda: content(1))
    with pytest.raises(NotApproved, match="in order"):
        Answered(tmp_path).answer(Request("train", 1, "b" * 64, "m"), lambda: content(2))
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}


def lesions(number: int, model: str = "m") -> Request:
    return Request(LESIONS_QUERY, 3, f"{number:064x}", model)


def test_sums_for_a_lesion_finder_are_of_the_calibrated_model_and_once(tmp_path: Path) -> None:
    answered = Answered(tmp_path)
    answered.answer(calibrate(1), lambda: content(1))
    with pytest.raises(NotApproved, match="Another model"):
        answered.answer(lesions(0, "other"), lambda: content(0))
    answered.answer(lesions(0), lambda: content(0))
    with pytest.raises(NotApproved, match="already"):
        answered.answer(lesions(1), lambda: content(1))


def test_an_audit_is_of_the_calibrated_model_and_once(tmp_path: Path) -> None:
    """Two audits that differ by one lesion, or by one weight, would show that lesion."""
    answered = Answered(tmp_path)
    answered.answer(calibrate(1), lambda: content(1))
    for model, digest, why in (("other", "a", "Another model"), ("m", "b", ""), ("m", "c", "already")):
        request = Request(AUDIT_QUERY, 3, digest * 64, model)
        if not why:
            answered.answer(request, lambda: content(0))
            continue
        with pytest.raises(NotApproved, match=why):
            answered.answer(request, lambda: content(0))


def test_a_lesion_finder_or_an_audit_is_no_calibration(tmp_path: Path) -> None:
    answered = Answered(tmp_path)
    answered.answer(lesions(0), lambda: content(0))
    answered.answer(Request(AUDIT_QUERY, 3, "a" * 64, "m"), lambda: content(0))
    with pytest.raises(NotApproved, match="not calibrated"):
        answered.answer(offsets(0), lambda: content(0))
