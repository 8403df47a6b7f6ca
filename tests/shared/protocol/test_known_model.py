"""What of a model the other side has is left out, and comes back to the last bit."""

from __future__ import annotations

import numpy as np
import pytest
from flwr.app import ConfigRecord, RecordDict
from hypothesis import given, settings
from hypothesis import strategies as st

from dermafed.shared.compression.coded_change import rounded_model
from dermafed.shared.compression.selection import Selection
from dermafed.shared.errors import FederationError
from dermafed.shared.privacy.secret_random import SecretRandom
from dermafed.shared.protocol.known_model import (
    KnownModel,
    UnknownModel,
    completed,
    model_bytes,
    patch_of,
    patched,
)
from dermafed.shared.protocol.messages import encode_instruction
from dermafed.shared.protocol.selection_records import encode_selection, selection_in

SIZE = 700
BASE = KnownModel.of(np.random.default_rng(1).normal(size=SIZE).astype(np.float32))


def changed(places: set[int], value: float) -> KnownModel:
    weights = np.array(BASE.weights)
    weights[sorted(places)] = value
    return KnownModel.of(weights)


@settings(max_examples=60, deadline=None)
@given(
    st.sets(st.integers(0, SIZE - 1)).map(lambda some: {one + step for one in some for step in range(3)}),
    st.sampled_from([0.0, -0.0, 1e30, float("nan"), float("inf")]),
)
def test_a_patched_message_is_the_message(places: set[int], value: float) -> None:
    model = changed({place for place in places if place < SIZE}, value)
    content = encode_instruction(model.weights, 3, {"proximal_mu": 0.5})
    patch = patch_of(model, BASE, None)
    if patch is None:
        assert len(places) > SIZE / 4
        return
    message = patched(content, patch)
    assert model_bytes(message) == 4 * SIZE
    found, known = completed(message, BASE, None)
    assert found.object_id == content.object_id
    assert known.digest == model.digest


def test_the_same_model_is_its_digest_and_another_is_not_guessed() -> None:
    content = encode_instruction(BASE.weights, 3, {})
    message = patched(content, patch_of(BASE, BASE, None) or RecordDict())
    assert completed(message, BASE, None)[0].object_id == content.object_id
    for known in (None, changed({4}, 2.0)):
        with pytest.raises(UnknownModel):
            completed(message, known, None)


@pytest.mark.parametrize(
    "change",
    [
        {"model": BASE.digest},
        {"base": "no digest"},
        {"step": 0.5, "version": 1},  # no codes, so of no effect: the control
    ],
)
def test_a_patch_that_gives_another_model_is_refused(change: dict[str, str]) -> None:
    model = changed({1, 2, 3}, 7.0)
    message = patched(encode_instruction(model.weights, 3, {}), patch_of(model, BASE, None) or RecordDict())
    about = message["patched"]
    assert isinstance(about, ConfigRecord)
    message["patched"] = ConfigRecord({**about, **change})
    if "step" in change:
        completed(message, BASE, None)
        return
    with pytest.raises(FederationError, match=r"another model|no SHA-256"):
        completed(message, BASE, None)


def test_a_rounded_model_travels_in_few_bits_and_any_other_whole() -> None:
    moved = np.arange(SIZE) >= 100
    selection = Selection.of(moved, moved & (np.arange(SIZE) % 50 != 0), bits=8)
    after = BASE.weights + np.random.default_rng(2).normal(scale=1e-2, size=SIZE).astype(np.float32) * moved
    rounded = rounded_model(BASE.weights, after, selection, BASE.digest, SecretRandom.fresh())
    assert np.abs(rounded - after).max() < 2e-3
    assert (rounded != after).sum() > SIZE / 2
    model = KnownModel.of(rounded)
    content = RecordDict({**encode_instruction(rounded, 3, {}), **encode_selection(selection)})
    patch = patch_of(model, BASE, selection)
    assert patch is not None
    assert len(patch["patch"]["codes"].data) < 1024 + 200  # type: ignore[index, union-attr]
    message = patched(content, patch)
    read = selection_in(message, SIZE)
    assert read is not None
    assert completed(message, BASE, read)[0].object_id == content.object_id
    # Not on the grid: only what differs travels, in full.
    whole = patch_of(KnownModel.of(after), BASE, selection)
    assert whole is not None
    assert "codes" not in whole["patch"]
    for wrong in (None, Selection(selection.full, selection.coded, 9)):
        with pytest.raises(FederationError):
            completed(message, BASE, wrong)
