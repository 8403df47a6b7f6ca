"""A model that lies whole numbers of steps from another: codes that make the one of the other."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dermafed.shared.compression.codes import Coder, Codes, Uniform
from dermafed.shared.compression.rotation import Floats, Rotation
from dermafed.shared.compression.selection import Selection, put, taken
from dermafed.shared.training.trainer import FloatVector


class CodedChange(NamedTuple):
    """What of a model's change travels in few bits.

    Attributes:
        codes: multiples of the step, int32 (N,).
        step: the number that 1 stands for.
    """

    codes: Codes
    step: float


def coder_of(selection: Selection, seed: str) -> Coder:
    """The coding of a selection's changes.

    Args:
        selection: what is coded, and in how many bits.
        seed: SHA-256 of the model that is changed, hexadecimal.
    """
    return Coder(Rotation(bytes.fromhex(seed), selection.coded_size), selection.bits)


def change_between(before: FloatVector, after: FloatVector, selection: Selection) -> Floats:
    """The changes of the coded values, float64 (N,)."""
    new, old = (taken(each, selection.coded).astype(np.float64) for each in (after, before))
    return np.subtract(new, old)


def apply_change(
    before: FloatVector, after: FloatVector, selection: Selection, seed: str, change: CodedChange
) -> FloatVector:
    """A model with the coded values of ``before``, changed, and all others of ``after``: float32 (P,)."""
    found = np.array(after, np.float32)
    moved = coder_of(selection, seed).decode(change.codes, change.step)
    start = taken(before, selection.coded).astype(np.float64)
    put(found, selection.coded, (start + moved).astype(np.float32))
    return found


def rounded_model(
    before: FloatVector, after: FloatVector, selection: Selection, seed: str, random: Uniform
) -> FloatVector:
    """The model, its coded changes rounded at random to as fine a step as its bits allow."""
    if not selection.coded_size:
        return after
    coder = coder_of(selection, seed)
    rotated = coder.rotation.forward(change_between(before, after, selection))
    step = coder.least_step(rotated) if np.isfinite(rotated).all() else 1.0
    change = CodedChange(coder.encode(rotated, step, random), step)
    return apply_change(before, after, selection, seed, change)


def found_change(
    before: FloatVector, after: FloatVector, selection: Selection, seed: str
) -> CodedChange | None:
    """The codes of a model that was rounded from another; ``None``: it was not, or cannot be told."""
    change = change_between(before, after, selection)
    if not selection.coded_size or not np.isfinite(change).all():
        return None
    coder = coder_of(selection, seed)
    rotated = coder.rotation.forward(change)
    for factor in (1.0, 0.5, 2.0):  # the largest code is rounded, too
        step = coder.least_step(rotated) * factor
        codes = np.rint(rotated / step)
        if np.abs(codes).max() > coder.largest:
            continue
        found = CodedChange(codes.astype(np.int32), step)
        same = apply_change(before, after, selection, seed, found)
        if (same.view(np.uint32) == np.asarray(after).view(np.uint32)).all():
            return found
    return None
