from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dermafed.shared.lesions.record import LesionRecord
from dermafed.shared.model.metadata import BODY_REGIONS, METADATA_FEATURES, encode_metadata


def record(age: float | None = None, sex: str | None = None, body_site: str | None = None) -> LesionRecord:
    return LesionRecord("i", Path("i.jpg"), "nevus", age=age, sex=sex, body_site=body_site)


def test_worked_example() -> None:
    encoded = encode_metadata(
        [record(45.0, "female", "anterior torso"), record(), record(0.0, "male", "ear")]
    )
    assert encoded.dtype == np.float32
    expected = [
        # age, known, female, male, head, trunk, upper, lower, palms, oral
        [0.45, 1, 1, 0, 0, 1, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        [0, 1, 0, 1, 1, 0, 0, 0, 0, 0],
    ]
    np.testing.assert_allclose(encoded, expected)


@pytest.mark.parametrize(
    ("body_site", "region"),
    [
        ("head/neck", "head_neck"),
        ("scalp", "head_neck"),
        ("face", "head_neck"),
        ("Lower Back", "trunk"),
        ("lateral torso", "trunk"),
        ("abdomen", "trunk"),
        ("upper extremity", "upper_extremity"),
        ("upper_limb", "upper_extremity"),
        ("FOREARM", "upper_extremity"),
        ("lower extremity", "lower_extremity"),
        ("thigh", "lower_extremity"),
        ("palms/soles", "palms_soles"),
        ("acral", "palms_soles"),
        ("oral/genital", "oral_genital"),
        ("genital", "oral_genital"),
        ("unknown", None),
        ("surface", None),
        ("", None),
    ],
)
def test_body_sites_as_the_data_sets_name_them(body_site: str, region: str | None) -> None:
    (encoded,) = encode_metadata([record(body_site=body_site)])
    assert list(encoded[4:]) == [float(name == region) for name in BODY_REGIONS]


def test_no_records_have_no_rows() -> None:
    assert encode_metadata([]).shape == (0, METADATA_FEATURES)
