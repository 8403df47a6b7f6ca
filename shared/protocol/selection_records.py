"""The records that say which weights of a message's model move in training, and which of them are coded.

=============  ==========================================================================
record         content
=============  ==========================================================================
``selection``  ``full``, ``coded``: int64 (R, 2), start and length of ranges
(arrays)
``coding``     ``bits`` of each coded change, the ``step`` that all clinics have in common (0:
(config)       each its own), and the coding's ``version``
=============  ==========================================================================

A message without them has all weights in full.
"""

from __future__ import annotations

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, RecordDict

from dermafed.shared.compression.codes import VERSION
from dermafed.shared.compression.selection import Ranges, Selection
from dermafed.shared.errors import FederationError
from dermafed.shared.protocol.flower_records import number, read_array, record_of, to_arrays, whole_number

SELECTION, CODING = "selection", "coding"


def encode_selection(selection: Selection | None) -> RecordDict:
    """The records of a selection; none where all weights travel in full."""
    if selection is None:
        return RecordDict()
    records = RecordDict({SELECTION: to_arrays(full=selection.full, coded=selection.coded)})
    if selection.bits:
        records[CODING] = ConfigRecord(
            {"bits": selection.bits, "step": float(selection.step), "version": VERSION}
        )
    return records


def selection_in(content: RecordDict, parameters: int) -> Selection | None:
    """The selection of a message, if it has one.

    Args:
        content: the message; nothing in it is trusted.
        parameters: length P of its model's vector.

    Raises:
        FederationError: it is malformed, of another version, or not of such a vector.
    """
    if SELECTION not in content:
        return None
    bits, step = 0, 0.0
    if CODING in content:
        coding = record_of(content, CODING, ConfigRecord)
        bits, step = whole_number(coding, "bits"), number(coding, "step")
        if whole_number(coding, "version") != VERSION:
            raise FederationError("The changes are coded by another version of DermaFed")
    full, coded = (read_ranges(content, SELECTION, name) for name in ("full", "coded"))
    selection = Selection(full, coded, bits, step)
    selection.check(parameters)
    return selection


def read_ranges(content: RecordDict, record: str, name: str) -> Ranges:
    """An array of ranges, int64 (R, 2), which may still be of no vector.

    Raises:
        FederationError: the message has no such array.
    """
    array = record_of(content, record, ArrayRecord).get(name)
    rows = array.shape[0] if array is not None and len(array.shape) == 2 else 0
    return read_array(content, record, name, np.int64, (int(rows), 2))
