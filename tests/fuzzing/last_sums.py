"""What the server makes of a clinic's sums after the last round; the first byte says which of them."""

from __future__ import annotations

import json
import math
from collections.abc import Callable

import numpy as np
from flwr.app import RecordDict

from dermafed.shared.errors import FederationError
from dermafed.shared.lesion_finder.finder import LesionFinder
from dermafed.shared.lesion_finder.finder_sums import FinderSums
from dermafed.shared.metrics.calibration.class_offsets import ClassOffsets
from dermafed.shared.metrics.calibration.offset_fit import fit_offsets
from dermafed.shared.metrics.calibration.offset_sums import OffsetSums
from dermafed.shared.metrics.decision.lesion_scores import lesion_scores
from dermafed.shared.metrics.decision.score_histogram import ScoreHistogram
from dermafed.shared.metrics.shortcuts.summed_effect import summed_effect
from dermafed.shared.protocol.audit_messages import decode_shortcut_sums, encode_shortcut_sums
from dermafed.shared.protocol.finder_messages import decode_finder_sums, encode_finder_sums
from dermafed.shared.protocol.head_messages import decode_head_sums, encode_head_sums
from dermafed.shared.protocol.offset_messages import decode_offset_sums, encode_offset_sums
from dermafed.shared.protocol.score_messages import decode_scores, encode_scores
from dermafed.shared.protocol.slope_messages import decode_slope_sums, encode_slope_sums
from dermafed.shared.training.exact_head.head_sums import HeadSums
from dermafed.shared.training.exact_head.ridge import LinearHead, ridge_head
from dermafed.shared.training.exact_head.slope_sums import SlopeSums
from tests.fuzzing.edits import read_edited, seeds_of
from tests.fuzzing.target import outcome
from tests.shared.metrics.shortcuts.sample_audit import sample_sums

CLASSES, FEATURES = 3, 4
WEIGHTS = np.ones(CLASSES)
POINT = ClassOffsets(1.0, (0.0, 0.0, 0.0))

_random = np.random.default_rng(2)
_labels = np.arange(30) % CLASSES
_logits = _random.normal(size=(30, CLASSES)) + 2 * np.eye(CLASSES)[_labels]
_features = _random.normal(size=(30, FEATURES))
_lesions = [f"lesion-{number}" for number in range(30)]
_probabilities = np.exp(_logits) / np.exp(_logits).sum(axis=1, keepdims=True)
_head = LinearHead(np.zeros((FEATURES, CLASSES)), np.zeros(CLASSES))
_own = HeadSums.of(_features, _labels, WEIGHTS)
_cells = FinderSums.of(_random.normal(size=(20, 2, 2, FEATURES)), _random.uniform(size=(20, 2, 2)))

REPLIES = (
    encode_offset_sums(OffsetSums.of(_logits, _labels, POINT), 1.0),
    encode_scores(ScoreHistogram.of(lesion_scores(_labels, _probabilities, 0, _lesions)), 1.0),
    encode_head_sums(_own, 1.0),
    encode_slope_sums(SlopeSums.of(_features, _labels, WEIGHTS, _head), 1.0),
    encode_finder_sums(_cells, 1.0),
    encode_shortcut_sums(sample_sums(), 1.0),
)


def offsets(content: RecordDict) -> str:
    """The fit goes on, and ends at finite offsets, whatever the hostile clinic sends at every point."""
    received, _ = decode_offset_sums(content, POINT)

    def ask(point: ClassOffsets) -> dict[str, OffsetSums]:
        hostile = OffsetSums(point, received.counts, received.loss, received.gradient, received.hessian)
        return {"graz": hostile, "linz": OffsetSums.of(_logits, _labels, point)}

    found = fit_offsets(ask, POINT)
    assert found is not None
    assert math.isfinite(found.point.scale)
    assert np.isfinite(found.point.offsets).all()
    return "received"


def scores(content: RecordDict) -> str:
    received, _ = decode_scores(content)
    assert (received.counts >= 0).all()
    return "received"


def head(content: RecordDict) -> str:
    """The ridge head of all clinics is finite."""
    received, _ = decode_head_sums(content, CLASSES, (FEATURES + 1) * CLASSES)
    if received.features != FEATURES:
        raise FederationError("it has other features")
    found = ridge_head(_own + received, 0.1)
    assert np.isfinite(found.kernel).all()
    assert np.isfinite(found.bias).all()
    return "received"


def slopes(content: RecordDict) -> str:
    received, _ = decode_slope_sums(content, (FEATURES + 1, CLASSES))
    received.validate(_own.gram)
    assert np.isfinite(received.slopes).all()
    return "received"


def finder(content: RecordDict) -> str:
    """The lesion finder of all clinics is finite."""
    received, _ = decode_finder_sums(content)
    if received.features != FEATURES:
        raise FederationError("it has other features")
    found = LesionFinder.of(_cells + received, "0" * 64, 2)
    assert np.isfinite(found.kernel).all()
    assert math.isfinite(found.bias)
    return "received"


def audit(content: RecordDict) -> str:
    """An effect over all clinics is finite."""
    received, _ = decode_shortcut_sums(content)
    json.dumps(summed_effect(received + sample_sums(1), 0).to_dict(), allow_nan=False)
    return "received"


READERS: tuple[Callable[[RecordDict], str], ...] = (offsets, scores, head, slopes, finder, audit)


def take(data: bytes) -> str:
    return outcome(lambda data: read_edited(data, REPLIES, READERS), data)


def seeds() -> list[bytes]:
    return seeds_of(REPLIES)
