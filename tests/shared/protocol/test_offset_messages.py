from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from flwr.app import ConfigRecord, MetricRecord, RecordDict

from dermafed.shared.errors import FederationError
from dermafed.shared.metrics.calibration.class_offsets import ClassOffsets
from dermafed.shared.metrics.calibration.offset_sums import OffsetSums
from dermafed.shared.protocol.offset_messages import (
    OffsetsRequest,
    decode_offset_sums,
    decode_offsets_request,
    encode_offset_sums,
    encode_offsets_request,
)
from tests.shared.metrics.calibration.sample_calibration import drawn

ASKED = OffsetsRequest("a" * 64, 3, ClassOffsets(0.7, (0.3, -0.4, 0.1)))
SUMS = OffsetSums.of(*drawn(40, 5), ASKED.point)


def test_a_request_arrives_as_it_was_sent() -> None:
    assert decode_offsets_request(encode_offsets_request(ASKED)) == ASKED


@pytest.mark.parametrize(
    "changed",
    [
        {"model": "../../etc"},
        {"model": "A" * 64},
        {"round": 1.5},
        {"scale": 0.0},
        {"scale": float("nan")},
        {"offset_1": 99.0},
        {"offset_7": 0.0},
        {"patient": 1},
    ],
)
def test_an_impossible_request_is_refused(changed: dict[str, Any]) -> None:
    content = encode_offsets_request(ASKED)
    content["instruction"] = ConfigRecord({**dict(content["instruction"]), **changed})  # type: ignore[arg-type]
    with pytest.raises(FederationError):
        decode_offsets_request(content)


def test_sums_arrive_as_they_were_sent() -> None:
    content = encode_offset_sums(SUMS, 1.5)
    found, seconds = decode_offset_sums(content, ASKED.point)
    assert seconds == 1.5
    assert (found.loss, found.point) == (SUMS.loss, SUMS.point)
    assert (found.hessian == SUMS.hessian).all()
    assert (found.gradient == SUMS.gradient).all()
    assert sum(array.numpy().size for array in content["sums"].values()) + 1 == 18


def longer(content: RecordDict) -> None:
    content["sums"] = encode_offset_sums(OffsetSums.of(*drawn(40, 5, classes=4), ClassOffsets.none(4)), 1)[
        "sums"
    ]


def not_a_number(content: RecordDict) -> None:
    content["report"] = MetricRecord({"loss": float("nan"), "seconds": 1.0})


def beside(content: RecordDict) -> None:
    content["report"] = MetricRecord({"loss": 1.0, "seconds": 1.0, "age": 54})


@pytest.mark.parametrize("plant", [longer, not_a_number, beside])
def test_sums_that_are_none_are_refused(plant: Any) -> None:
    content = encode_offset_sums(SUMS, 1.5)
    plant(content)
    with pytest.raises(FederationError):
        decode_offset_sums(content, ASKED.point)


def test_curvatures_are_a_triangle() -> None:
    triangle = encode_offset_sums(SUMS, 1)["sums"]["curvatures"].numpy()
    assert triangle.tolist() == SUMS.hessian[np.triu_indices(4)].tolist()
