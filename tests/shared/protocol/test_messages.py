"""What is encoded on one side is what the other side reads."""

from __future__ import annotations

import numpy as np
import pytest
from flwr.app import ConfigRecord, MetricRecord, RecordDict

from dermafed.shared.errors import FederationError
from dermafed.shared.metrics.evaluation import ClinicEvaluation
from dermafed.shared.protocol.messages import (
    decode_evaluation,
    decode_instruction,
    decode_update,
    encode_evaluation,
    encode_instruction,
    encode_update,
)
from dermafed.shared.training.trainer import Update

WEIGHTS = np.array([1.5, -2.25, 0.0], np.float32)


def evaluation() -> ClinicEvaluation:
    return ClinicEvaluation.from_predictions([0, 1, 1], [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])


def test_instruction() -> None:
    read = decode_instruction(encode_instruction(WEIGHTS, 4, {"proximal_mu": 1}))
    np.testing.assert_array_equal(read.weights, WEIGHTS)
    assert (read.round, read.config) == (4, {"proximal_mu": 1.0})


def test_update() -> None:
    read, seconds = decode_update(encode_update(Update(WEIGHTS, 12, {"loss": 0.5}), 3.5), 3)
    np.testing.assert_array_equal(read.weights, WEIGHTS)
    assert (read.weight, read.metrics, seconds) == (12, {"loss": 0.5}, 3.5)


def test_a_view_of_a_larger_array_is_sent_without_the_rest() -> None:
    matrix = np.arange(9, dtype=np.float32).reshape(3, 3)
    read, _ = decode_update(encode_update(Update(matrix[:, 1], 1, {}), 0.0), 3)
    np.testing.assert_array_equal(read.weights, [1, 4, 7])


def test_evaluation() -> None:
    sent = evaluation()
    read, seconds = decode_evaluation(encode_evaluation(sent, 0.25), 2)
    assert (read.images, read.loss_sum, seconds) == (3, sent.loss_sum, 0.25)
    np.testing.assert_array_equal(read.confusion, [[1, 0], [1, 1]])
    np.testing.assert_array_equal(read.histograms, sent.histograms)
    read.validate(2)


def test_evaluation_of_other_classes() -> None:
    with pytest.raises(FederationError, match=r"'confusion' is int64 \(2, 2\), not int64 \(3, 3\)"):
        decode_evaluation(encode_evaluation(evaluation(), 0.0), 3)


@pytest.mark.parametrize("report", [{}, {"images": 3}, {"images": 3.0, "loss_sum": 1.0, "seconds": 0.0}])
def test_evaluation_without_a_field(report: dict[str, float]) -> None:
    content = encode_evaluation(evaluation(), 0.0)
    content["report"] = MetricRecord(dict(report))
    with pytest.raises(FederationError, match="is not a"):
        decode_evaluation(content, 2)


def test_a_record_of_another_kind_counts_as_missing() -> None:
    content = encode_evaluation(evaluation(), 0.0)
    content["counts"] = ConfigRecord({"confusion": 1})
    with pytest.raises(FederationError, match="'counts' is missing"):
        decode_evaluation(content, 2)


def test_empty_messages() -> None:
    for decode in (decode_instruction, lambda content: decode_update(content, 3)):
        with pytest.raises(FederationError, match="is missing"):
            decode(RecordDict())


def test_names_of_settings_are_plain() -> None:
    """They are shown in the clinic's log."""
    for name in ("\x1b[2J", "a\nb", "x" * 41, ""):
        with pytest.raises(FederationError, match="a setting that no strategy has"):
            decode_instruction(encode_instruction(WEIGHTS, 1, {name: 1.0}))
