from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dermafed.shared.errors import FederationError, StorageError
from dermafed.shared.secure_sum.signed_rounds import SignedRoundsFile
from tests.shared.secure_sum.federation import task, terms

CONTEXT = terms(5).context(task(), 1)


def test_each_sum_of_each_round_is_signed_once(tmp_path: Path) -> None:
    path = tmp_path / "plan" / "signed.json"
    SignedRoundsFile(path).check(CONTEXT)
    assert not path.exists()
    SignedRoundsFile(path).add(CONTEXT)
    for again in (CONTEXT, replace(CONTEXT, attempt=2), replace(CONTEXT, run=8), replace(CONTEXT, model="e")):
        for ask in (SignedRoundsFile(path).check, SignedRoundsFile(path).add):
            with pytest.raises(FederationError, match="signed already for 'train' of round 1") as refused:
                ask(again)
            assert "next round" in refused.value.remedy
    for other in (replace(CONTEXT, round=2), replace(CONTEXT, label="evaluate")):
        SignedRoundsFile(path).add(other)
        with pytest.raises(FederationError):
            SignedRoundsFile(path).check(other)


@pytest.mark.parametrize("text", ["", "{}", "[1]", "["])
def test_a_damaged_file_allows_nothing(tmp_path: Path, text: str) -> None:
    path = tmp_path / "signed.json"
    path.write_text(text)
    with pytest.raises(StorageError, match="cannot be read") as refused:
        SignedRoundsFile(path).add(CONTEXT)
    assert "backup" in refused.value.remedy
    assert path.read_text() == text
