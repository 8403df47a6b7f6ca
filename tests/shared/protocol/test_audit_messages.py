"""The message with an audit's sums: what was sent arrives, and what no clinic could send is refused."""

from __future__ import annotations

import numpy as np
import pytest
from flwr.app import MetricRecord, RecordDict

from dermafed.shared.errors import FederationError
from dermafed.shared.protocol.audit_messages import decode_shortcut_sums, encode_shortcut_sums
from dermafed.shared.protocol.flower_records import to_arrays
from tests.shared.metrics.shortcuts.sample_audit import sample_sums

SUMS = sample_sums()
COUNTS = {name: getattr(SUMS, name) for name in ("answers", "flips", "scores", "changes")}


def test_sums_arrive_as_they_were_sent() -> None:
    found, seconds = decode_shortcut_sums(encode_shortcut_sums(SUMS, 1.5))
    for name in (*COUNTS, "moments"):
        np.testing.assert_array_equal(getattr(found, name), getattr(SUMS, name))
    assert seconds == 1.5


@pytest.mark.parametrize(
    "change",
    [
        {"counts": to_arrays(**{**COUNTS, "answers": COUNTS["answers"] + 1})},
        {"counts": to_arrays(**{**COUNTS, "flips": COUNTS["flips"][:-1]})},
        {"counts": to_arrays(**COUNTS, lesions=np.zeros(3))},
        {"sums": to_arrays(moments=SUMS.moments.astype(np.float32))},
        {"report": MetricRecord({"seconds": 1.0, "images": 3})},
        {"images": to_arrays(images=np.zeros((2, 4), np.uint8))},
    ],
)
def test_other_sums_are_refused(change: dict[str, object]) -> None:
    content = encode_shortcut_sums(SUMS, 1.5)
    with pytest.raises(FederationError):
        decode_shortcut_sums(RecordDict({**content, **change}))  # type: ignore[arg-type]
