from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dermafed.shared.errors import FederationError, StorageError
from dermafed.shared.secure_sum.sum_log import SumLogFile
from tests.shared.secure_sum.federation import task, terms

CONTEXT = terms(5).context(task(), 1)


def test_each_sum_of_each_round_is_signed_once(tmp_path: Path) -> None:
    path = tmp_path / "plan" / "sums.json"
    SumLogFile(path).begin(CONTEXT)
    SumLogFile(path).begin(replace(CONTEXT, attempt=2))
    for ask in (SumLogFile(path).begin, SumLogFile(path).sign):
        with pytest.raises(FederationError, match=r"Attempt 1 for 'train' of round 1 (is over|was begun)"):
            ask(CONTEXT)
    SumLogFile(path).sign(replace(CONTEXT, attempt=2))
    for again in (replace(CONTEXT, attempt=2), replace(CONTEXT, run=8), replace(CONTEXT, model="e")):
        for ask in (SumLogFile(path).begin, SumLogFile(path).sign):
            with pytest.raises(FederationError, match="signed already for 'train' of round 1") as refused:
                ask(again)
            assert "next round" in refused.value.remedy
    for other in (replace(CONTEXT, round=2), replace(CONTEXT, label="evaluate")):
        SumLogFile(path).begin(other)
        SumLogFile(path).sign(other)


def test_each_attempt_is_begun_once(tmp_path: Path) -> None:
    path = tmp_path / "sums.json"
    SumLogFile(path).begin(CONTEXT)
    for again in (CONTEXT, replace(CONTEXT, run=8), replace(CONTEXT, model="e")):
        with pytest.raises(FederationError, match="Attempt 1 for 'train' of round 1 was begun already"):
            SumLogFile(path).begin(again)
    SumLogFile(path).begin(replace(CONTEXT, attempt=2))


@pytest.mark.parametrize("text", ["", "[]", '{"a": 1}', '{"a": [1]}', "["])
def test_a_damaged_file_allows_nothing(tmp_path: Path, text: str) -> None:
    path = tmp_path / "sums.json"
    path.write_text(text)
    for ask in (SumLogFile(path).begin, SumLogFile(path).sign):
        with pytest.raises(StorageError, match="cannot be read") as refused:
            ask(CONTEXT)
        assert "backup" in refused.value.remedy
    assert path.read_text() == text
