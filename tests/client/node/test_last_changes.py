"""A clinic's change of a model beside the round's step, as the transcript has it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from flwr.app import Context, RecordDict

from dermafed.client.node.last_changes import LastChanges
from dermafed.shared.compression.coded_change import coder_of
from dermafed.shared.compression.selection import Selection
from dermafed.shared.protocol.messages import Instruction

CONTEXT = Context(1, 7, {}, RecordDict(), {})
MOVED = np.array([False, True, True, True])
CODED = np.array([False, False, True, True])


def test_a_change_in_part_and_in_few_bits_is_laid_beside_the_whole_step() -> None:
    selection = replace(Selection.of(MOVED, CODED, bits=8), step=1.0)
    asked = Instruction(np.zeros(4, np.float32), 1, {}, selection=selection)
    codes = coder_of(selection, asked.model).rotation.forward(np.array([3.0, -4.0]))
    changes = LastChanges()
    assert changes.note(CONTEXT, asked, {"change": [1.0], "codes": codes}) == {"weights": asked.model}
    model = Instruction(np.array([0, 1, 3, 4], np.float32), 1, {}, selection=selection)
    found = changes.note(CONTEXT, model, {"confusion": [1]})
    assert found["moved"] == 4
    assert found["cosine"] == pytest.approx((1 + 9 - 16) / 26)
