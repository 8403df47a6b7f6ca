"""Messages that leave out what of a model the other side has: the same model, or an earlier one of the run.

==========  ===================  ======================================================================
record      in place of          content
==========  ===================  ======================================================================
``patch``   ``weights``          ``ranges``: int64 (R, 2), start and length of what differs from the
(arrays)                         known model; ``values``: float32, these values;
                                 ``codes``: uint8, where the message has a selection with bits: the
                                 other changes (:mod:`dermafed.shared.compression.codes`)
``patched``                      ``base``, ``model``: SHA-256 of the known model and of this one;
(config)                         ``parameters``: length P of both; with codes their ``step``, and their
                                 ``version``
``known``   (beside others)      of the server: ``version``, which says that it understands patches; of a
(config)                         clinic: ``model``, SHA-256 of the model that it has now
==========  ===================  ======================================================================

What comes of a patch is the message that it stands for, to the last bit, or it is refused.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, RecordDict
from numpy.typing import NDArray

from dermafed.shared.compression.coded_change import CodedChange, apply_change, coder_of, found_change
from dermafed.shared.compression.codes import VERSION, pack, packed_bytes, signed, unpack
from dermafed.shared.compression.selection import Ranges, Selection, check_ranges, put, ranges_of, taken
from dermafed.shared.errors import FederationError
from dermafed.shared.model.weights_digest import weights_digest
from dermafed.shared.protocol.flower_records import (
    number,
    read_array,
    record_of,
    sha256_text,
    to_arrays,
    whole_number,
)
from dermafed.shared.protocol.selection_records import read_ranges
from dermafed.shared.training.trainer import FloatVector

WEIGHTS, PATCH, PATCHED, KNOWN = "weights", "patch", "patched", "known"

_NEAR = 8  # values between two ranges that cost less than a range of their own


class UnknownModel(FederationError):
    """The message is about a model that is not known here."""


@dataclass(frozen=True)
class KnownModel:
    """A model that both sides have.

    Attributes:
        weights: float32 (P,).
        digest: SHA-256 of its bytes, hexadecimal.
    """

    weights: FloatVector = field(repr=False)
    digest: str

    @classmethod
    def of(cls, weights: FloatVector) -> KnownModel:
        """Of its weights, float32 (P,)."""
        return cls(weights, weights_digest(weights))


def model_in(content: RecordDict) -> KnownModel | None:
    """The model of a message that has one in full.

    Raises:
        FederationError: it is not a vector of float32.
    """
    if WEIGHTS not in content:
        return None
    return KnownModel.of(read_array(content, WEIGHTS, WEIGHTS, np.float32))


def is_patched(content: RecordDict) -> bool:
    """Whether a message leaves out what of its model is known."""
    return PATCH in content


def without(content: RecordDict, name: str) -> RecordDict:
    """A message without one of its records."""
    return RecordDict({own: record for own, record in content.items() if own != name})


def model_bytes(content: RecordDict) -> int:
    """Bytes of the model that a patched message stands for."""
    return 4 * whole_number(record_of(content, PATCHED, ConfigRecord), "parameters")


def patch_of(model: KnownModel, base: KnownModel, selection: Selection | None) -> RecordDict | None:
    """The records that stand for a model; ``None`` where they are no smaller than the model.

    Args:
        model: the model.
        base: a model that the other side has.
        selection: what of the model's change may be coded.
    """
    if base.weights.size != model.weights.size:
        return None
    about: dict[str, Any] = {"base": base.digest, "model": model.digest, "parameters": model.weights.size}
    plain = model.weights
    arrays: dict[str, NDArray[Any]] = {}
    if (change := _change(model, base, selection)) and selection is not None:
        plain = np.array(plain)
        put(plain, selection.coded, taken(base.weights, selection.coded))
        arrays["codes"] = np.frombuffer(pack(change.codes, selection.bits), np.uint8)
        about |= {"step": change.step, "version": VERSION}
    ranges = _differing(base.weights, plain)
    arrays |= {"ranges": ranges, "values": taken(plain, ranges)}
    if sum(array.nbytes for array in arrays.values()) >= model.weights.nbytes:
        return None
    return RecordDict({PATCH: to_arrays(**arrays), PATCHED: ConfigRecord(about)})


def patched(content: RecordDict, patch: RecordDict) -> RecordDict:
    """A message with a patch in place of its model."""
    return _with(content, WEIGHTS, patch)


def completed(
    content: RecordDict, known: KnownModel | None, selection: Selection | None
) -> tuple[RecordDict, KnownModel]:
    """The message that :func:`patched` was made of, and its model; nothing in it is trusted.

    Args:
        content: the message.
        known: the model that is known here.
        selection: what of the model's change may be coded.

    Raises:
        UnknownModel: it is about another model.
        FederationError: it is malformed, or gives another model than it says.
    """
    about = record_of(content, PATCHED, ConfigRecord)
    base, model = sha256_text(about, "base"), sha256_text(about, "model")
    if known is None or known.digest != base:
        raise UnknownModel("The message is about a model that is not known here")
    found = known
    if base != model or len(read_array(content, PATCH, "values", np.float32)):
        found = KnownModel.of(_patched_weights(content, about, known, selection))
    if found.digest != model:
        raise FederationError("The message gives another model than it says")
    full = _with(content, PATCH, RecordDict({WEIGHTS: to_arrays(weights=found.weights)}))
    return without(full, PATCHED), found


def _change(model: KnownModel, base: KnownModel, selection: Selection | None) -> CodedChange | None:
    if selection is None or base.digest == model.digest:
        return None
    return found_change(base.weights, model.weights, selection, base.digest)


def _patched_weights(
    content: RecordDict, about: ConfigRecord, known: KnownModel, selection: Selection | None
) -> FloatVector:
    ranges = read_ranges(content, PATCH, "ranges")
    check_ranges(ranges, known.weights.size)
    values = read_array(content, PATCH, "values", np.float32, (int(ranges[:, 1].sum()),))
    plain = np.array(known.weights)
    put(plain, ranges, values)
    if "codes" not in record_of(content, PATCH, ArrayRecord):
        return plain
    if selection is None or whole_number(about, "version") != VERSION:
        raise FederationError("The message has codes of another version, or of nothing")
    selection.check(known.weights.size)
    coder, step = coder_of(selection, known.digest), number(about, "step")
    if not 0 < step < math.inf:
        raise FederationError("The message has codes of an impossible step")
    count = coder.rotation.size
    codes = read_array(content, PATCH, "codes", np.uint8, (packed_bytes(count, selection.bits),))
    change = CodedChange(signed(unpack(codes.tobytes(), selection.bits, count), selection.bits), step)
    return apply_change(known.weights, plain, selection, known.digest, change)


def _differing(base: FloatVector, model: FloatVector) -> Ranges:
    """The ranges of values that differ in any bit, with those of few values between them as one."""
    ranges = ranges_of(base.view(np.uint32) != model.view(np.uint32))
    starts, ends = ranges[:, 0], ranges.sum(axis=1)
    apart = starts[1:] - ends[:-1] > _NEAR
    first, last = np.append([True], apart)[: len(starts)], np.append(apart, [True])[: len(starts)]
    return np.stack([starts[first], ends[last] - starts[first]], axis=1)


def _with(content: RecordDict, name: str, instead: RecordDict) -> RecordDict:
    """A message with other records in the place of one: their order is part of its digest."""
    found = RecordDict()
    for own, record in content.items():
        for new, value in instead.items() if own == name else [(own, record)]:
            found[new] = value
    return found
