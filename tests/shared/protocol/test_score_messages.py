from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from flwr.app import ConfigRecord, MetricRecord, RecordDict

from dermafed.shared.errors import FederationError
from dermafed.shared.metrics.calibration.class_offsets import ClassOffsets
from dermafed.shared.metrics.calibration.offset_fit import FittedOffsets
from dermafed.shared.metrics.calibration.offsets_document import federation_to_dict
from dermafed.shared.metrics.decision.score_histogram import ScoreHistogram
from dermafed.shared.protocol.flower_records import to_arrays
from dermafed.shared.protocol.score_messages import (
    ScoresRequest,
    decode_scores,
    decode_scores_request,
    encode_scores,
    encode_scores_request,
)
from tests.shared.metrics.decision.sample_lesions import two_classes

FITTED = FittedOffsets(ClassOffsets(0.7, (0.3, -0.4, 0.1)), (20, 30, 10), 0.8, 5, 3, True)
ASKED = ScoresRequest("a" * 64, 3, FITTED)
SCORES = ScoreHistogram.of(two_classes(np.full(6, 0.6), np.full(9, 0.2)))


def test_a_request_arrives_as_it_was_sent() -> None:
    assert decode_scores_request(encode_scores_request(ASKED)) == ASKED


@pytest.mark.parametrize(
    "changed",
    [
        {"model": "../../etc"},
        {"round": 1.5},
        {"patient": 1},
        {"offsets": "{"},
        {"offsets": "[]"},
        {"offsets": "[" * 5000},
        {"offsets": " " * 10_001},
        {"offsets": json.dumps(federation_to_dict(FITTED) | {"counts": [1, 2]})},
        {"offsets": json.dumps(federation_to_dict(FITTED) | {"counts": [0, 0, 0]})},
        {"offsets": json.dumps(federation_to_dict(FITTED) | {"scale": 1e9})},
        {"offsets": json.dumps(federation_to_dict(FITTED) | {"offsets": [float("nan")] * 3})},
    ],
)
def test_an_impossible_request_is_refused(changed: dict[str, Any]) -> None:
    content = encode_scores_request(ASKED)
    content["instruction"] = ConfigRecord({**dict(content["instruction"]), **changed})  # type: ignore[arg-type]
    with pytest.raises(FederationError):
        decode_scores_request(content)


def test_counts_arrive_as_they_were_sent() -> None:
    found, seconds = decode_scores(encode_scores(SCORES, 1.5))
    assert (found.counts == SCORES.counts).all()
    assert seconds == 1.5


def few(content: RecordDict) -> None:
    content["counts"] = to_arrays(
        scores=ScoreHistogram.of(two_classes(np.full(4, 0.6), np.full(9, 0.2))).counts
    )


def shorter(content: RecordDict) -> None:
    content["counts"] = to_arrays(scores=SCORES.counts[:, :-1])


def beside(content: RecordDict) -> None:
    content["report"] = MetricRecord({"seconds": 1.0, "age": 54})


@pytest.mark.parametrize("plant", [few, shorter, beside])
def test_counts_that_are_none_are_refused(plant: Any) -> None:
    content = encode_scores(SCORES, 1.5)
    plant(content)
    with pytest.raises(FederationError):
        decode_scores(content)
