from __future__ import annotations

from pathlib import Path

import pytest

from dermafed.client.node.sum_transcript import SumTranscripts
from dermafed.shared.errors import StorageError
from dermafed.shared.protocol.sum_messages import SUM_KEYS, SUM_SHARES, SumAttempt

OF = SumAttempt("train", 1, 1, 12)


def test_what_is_refused_is_written_down_a_few_times_without_its_content(tmp_path: Path) -> None:
    """A server may ask as often, and for as much, as it likes."""
    transcripts = SumTranscripts(tmp_path)
    transcripts.add(OF, SUM_KEYS, b"context", b"keys", more={"parameters": 12})
    for _ in range(100):
        transcripts.add(OF, SUM_SHARES, b"x" * 1000, refused="another roster")
    transcripts.add(SumAttempt("train", 1, 9, 12), SUM_KEYS, b"x", refused="one attempt too many")
    keys, *refused = transcripts.load("train", 1, 1)
    assert (keys.received.message, keys.sent.message, keys.more) == (b"context", b"keys", {"parameters": 12})
    assert len(refused) == 15
    assert {(one.received.size, one.received.content, one.refused) for one in refused} == {
        (1000, "", "another roster")
    }
    assert transcripts.attempts("train", 1) == [1]
    assert not transcripts.attempts("train", 11)


@pytest.mark.parametrize("text", ["", "[1]", "[{}]", '{"a": 1}'])
def test_a_damaged_transcript_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "train-1-1.json").write_text(text)
    with pytest.raises(StorageError, match="cannot be read") as refused:
        SumTranscripts(tmp_path).load("train", 1, 1)
    assert "train-1-1.json" in str(refused.value)
