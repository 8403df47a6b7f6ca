"""What a clinic makes of a server's messages; the first byte says which, the rest what is changed of it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from flwr.app import RecordDict

from dermafed.shared.lesion_finder.finder import LesionFinder
from dermafed.shared.metrics.calibration.calibration import Calibration
from dermafed.shared.metrics.calibration.offset_fit import FittedOffsets
from dermafed.shared.protocol.agreement import (
    decode_counts,
    decode_offer,
    encode_counts,
    encode_offer,
)
from dermafed.shared.protocol.calibration_messages import decode_calibration, encode_calibration
from dermafed.shared.protocol.finder_messages import decode_finder, encode_finder
from dermafed.shared.protocol.messages import decode_instruction, encode_instruction
from dermafed.shared.protocol.offset_messages import (
    OffsetsRequest,
    decode_offsets_request,
    encode_offsets_request,
)
from dermafed.shared.protocol.score_messages import (
    ScoresRequest,
    decode_scores_request,
    encode_scores_request,
)
from dermafed.shared.protocol.slope_messages import decode_slopes_request, encode_slopes_request
from dermafed.shared.protocol.sum_messages import SumAttempt, decode_step, encode_step
from dermafed.shared.secure_sum.survivors import Survivors
from tests.fuzzing import last_sums, offers, replies
from tests.fuzzing.edits import read_edited, seeds_of
from tests.fuzzing.target import outcome

FITTED = FittedOffsets(last_sums.POINT, (10, 10, 10), 0.7, 5, 3, True)
MESSAGES = (
    encode_instruction(replies.START, 1, {"proximal_mu": 0.1}),
    encode_counts((20, 30, 40)),
    encode_offer(offers.OFFER.to_text()),
    encode_calibration(Calibration("0" * 64, ("a", "b", "c"), replies._sums, 2)),
    encode_offsets_request(OffsetsRequest("0" * 64, 3, last_sums.POINT)),
    encode_scores_request(ScoresRequest("0" * 64, 3, FITTED)),
    encode_slopes_request(replies.START, 3, last_sums._head),
    encode_finder(LesionFinder.of(last_sums._cells, "0" * 64)),
    encode_step(SumAttempt("train", 1, 2, 18), Survivors((0, 1, 3)).to_bytes()),
)


def instruction(content: RecordDict) -> str:
    asked = decode_instruction(content)
    assert (asked.weights.dtype, asked.weights.ndim) == (np.float32, 1)
    assert all(type(value) is float for value in asked.config.values())
    return "received"


def counts(content: RecordDict) -> str:
    received = decode_counts(content, len(offers.OFFER.model.classes))
    offers.OFFER.plan(received.tolist(), threads=2)
    return "received"


def offer(content: RecordDict) -> str:
    return offers.read(decode_offer(content).encode("utf-8", "surrogatepass"))


def calibration(content: RecordDict) -> str:
    encode_calibration(decode_calibration(content))
    return "received"


def offsets_request(content: RecordDict) -> str:
    encode_offsets_request(decode_offsets_request(content))
    return "received"


def scores_request(content: RecordDict) -> str:
    encode_scores_request(decode_scores_request(content))
    return "received"


def slopes_request(content: RecordDict) -> str:
    asked = decode_slopes_request(content)
    assert asked.head.kernel.shape[1:] == asked.head.bias.shape
    return "received"


def finder(content: RecordDict) -> str:
    found = decode_finder(content)
    assert np.isfinite(found.kernel).all()
    return "received"


def step(content: RecordDict) -> str:
    of, message = decode_step(content)
    encode_step(of, Survivors.from_bytes(message).to_bytes())
    return "received"


READERS: tuple[Callable[[RecordDict], str], ...] = (
    *(instruction, counts, offer, calibration),
    *(offsets_request, scores_request, slopes_request, finder, step),
)


def take(data: bytes) -> str:
    return outcome(lambda data: read_edited(data, MESSAGES, READERS), data)


def seeds() -> list[bytes]:
    return seeds_of(MESSAGES)
