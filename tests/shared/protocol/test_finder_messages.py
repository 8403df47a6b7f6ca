"""Messages of the lesion finder: what was sent arrives, and what no clinic could send is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from flwr.app import ConfigRecord, MetricRecord, RecordDict

from dermafed.shared.errors import FederationError
from dermafed.shared.lesion_finder.finder import LesionFinder
from dermafed.shared.protocol.finder_messages import (
    decode_finder,
    decode_finder_sums,
    encode_finder,
    encode_finder_sums,
)
from dermafed.shared.protocol.flower_records import to_arrays
from tests.shared.lesion_finder.sample_cells import sums_of

SUMS = sums_of(24)


def test_sums_arrive_as_they_were_sent() -> None:
    found, seconds = decode_finder_sums(encode_finder_sums(SUMS, 1.5))
    np.testing.assert_array_equal(found.gram, SUMS.gram)
    np.testing.assert_array_equal(found.targets, SUMS.targets)
    assert (found.images, seconds) == (24, 1.5)


def shorter(content: RecordDict) -> None:
    arrays = {name: content["sums"][name].numpy() for name in ("gram", "targets")}  # type: ignore[index]
    content["sums"] = to_arrays(**{**arrays, "gram": arrays["gram"][:-1]})


def other_targets(content: RecordDict) -> None:
    content["sums"] = to_arrays(gram=content["sums"]["gram"].numpy(), targets=np.zeros(3))  # type: ignore[index]


def more(content: RecordDict) -> None:
    content["masks"] = to_arrays(masks=np.zeros((2, 4, 4), np.uint8))


def half_an_image(content: RecordDict) -> None:
    content["report"] = MetricRecord({"images": 24.5, "seconds": 1.0})


def fewer_images(content: RecordDict) -> None:
    content["report"] = MetricRecord({"images": 12, "seconds": 1.0})


def not_finite(content: RecordDict) -> None:
    gram = content["sums"]["gram"].numpy().copy()  # type: ignore[index]
    gram[0] = np.inf
    content["sums"] = to_arrays(gram=gram, targets=content["sums"]["targets"].numpy())  # type: ignore[index]


@pytest.mark.parametrize(
    "change",
    [shorter, other_targets, more, half_an_image, fewer_images, not_finite],
    ids=lambda c: c.__name__,
)
def test_impossible_sums_are_refused(change: Callable[[RecordDict], None]) -> None:
    content = encode_finder_sums(SUMS, 1.5)
    change(content)
    with pytest.raises(FederationError):
        decode_finder_sums(content)


def test_a_finder_arrives_to_the_last_bit() -> None:
    finder = LesionFinder.of(SUMS, "ab" * 32, 2)
    found = decode_finder(encode_finder(finder))
    np.testing.assert_array_equal(found.kernel, finder.kernel)
    assert (found.bias, found.model, found.images, found.clinics) == (finder.bias, "ab" * 32, 24, 2)


@pytest.mark.parametrize(
    "document", ["", "[", "[]", "1", "[" * 100_000, json.dumps({"format": 1}), '{"format": NaN}']
)
def test_what_is_no_finder_is_refused(document: Any) -> None:
    with pytest.raises(FederationError):
        decode_finder(RecordDict({"finder": ConfigRecord({"document": document})}))
