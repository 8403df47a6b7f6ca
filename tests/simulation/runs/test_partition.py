from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dermafed.shared.errors import DatasetError, SettingsError
from dermafed.shared.lesions.record import LesionRecord
from dermafed.simulation.runs.partition import partition


def record(image: str, label: str = "nevus", lesion: str | None = None, **attributes: str) -> LesionRecord:
    return LesionRecord(image, Path(f"{image}.jpg"), label, lesion, attributes=attributes)


@st.composite
def datasets(draw: st.DrawFn) -> list[LesionRecord]:
    lesions = draw(st.lists(st.integers(1, 4), min_size=5, max_size=80))
    label = st.sampled_from(("melanoma", "nevus", "seborrheic_keratosis"))
    labels = [draw(label) for _ in lesions]
    pairs = [(f"l{n}", labels[n], i) for n, size in enumerate(lesions) for i in range(size)]
    return [record(f"{lesion}_{i}", name, lesion) for lesion, name, i in pairs]


@settings(max_examples=40, deadline=None)
@given(
    datasets(),
    st.integers(1, 5),
    st.sampled_from(["iid:{}", "dirichlet:{}:0.001", "dirichlet:{}:0.5", "dirichlet:{}:1e6"]),
    st.integers(0, 9),
    st.randoms(use_true_random=False),
)
def test_a_drawn_partition_has_whole_lesions_and_no_empty_clinic(
    records: list[LesionRecord], clinics: int, form: str, seed: int, shuffler: random.Random
) -> None:
    spec = form.format(clinics)
    parts = partition(records, spec, seed=seed)
    assert list(parts) == [f"clinic_{n}" for n in range(1, clinics + 1)]
    assert all(parts.values())
    images = [r.image_id for own in parts.values() for r in own]
    assert sorted(images) == sorted(r.image_id for r in records)
    owners = {(r.lesion_id, clinic) for clinic, own in parts.items() for r in own}
    assert len(owners) == len({r.lesion_id for r in records})
    assert partition(shuffler.sample(records, len(records)), spec, seed=seed) == parts


def test_a_column_names_the_clinics() -> None:
    records = [record("b", clinic="west"), record("a", clinic="west"), record("c", clinic="east")]
    parts = partition(records, "clinic", seed=0)
    assert {clinic: [r.image_id for r in own] for clinic, own in parts.items()} == {
        "east": ["c"],
        "west": ["a", "b"],
    }
    assert list(parts) == ["east", "west"]


def test_iid_clinics_have_equal_size_and_mix() -> None:
    records = [record(f"i{n:04d}", "melanoma" if n % 4 == 0 else "nevus") for n in range(2000)]
    for own in partition(records, "iid:4", seed=5).values():
        assert len(own) == 500
        assert abs(sum(r.label == "melanoma" for r in own) / 500 - 0.25) < 0.08  # four standard deviations


def test_small_alpha_skews_the_classes_and_large_alpha_does_not() -> None:
    records = [record(f"{label}{n:04d}", label) for label in ("melanoma", "nevus") for n in range(300)]

    def spread(alpha: float) -> float:
        """Mean total variation distance of the clinics' class mix from one half, over seeds."""
        mixes = [
            Counter(r.label for r in own)["nevus"] / len(own)
            for seed in range(10)
            for own in partition(records, f"dirichlet:4:{alpha}", seed=seed).values()
        ]
        return sum(abs(mix - 0.5) for mix in mixes) / len(mixes)

    assert spread(0.1) > 0.3
    assert spread(1.0) < spread(0.1)
    assert spread(1000.0) < 0.02


def test_shares_have_the_variance_of_the_dirichlet_distribution() -> None:
    records = [record(f"i{n:04d}") for n in range(200)]
    shares = [
        len(own) / 200
        for seed in range(150)
        for own in partition(records, "dirichlet:4:2", seed=seed).values()
    ]
    variance = sum((share - 0.25) ** 2 for share in shares) / len(shares)
    assert variance == pytest.approx(0.25 * 0.75 / (4 * 2 + 1), rel=0.15)  # p (1 - p) / (N alpha + 1)


@pytest.mark.parametrize(
    "spec",
    [
        *("iid:", "iid:0", "iid:-1", "iid:x", "iid:2:3"),
        *("dirichlet:2", "dirichlet:2:", "dirichlet:2:0", "dirichlet:2:nan", "dirichlet:2:inf"),
        *("dirichlet:x:1", "dirichlet:2:1:1"),
    ],
)
def test_refuses_malformed_specifications(spec: str) -> None:
    with pytest.raises(SettingsError, match="is malformed") as caught:
        partition([record("a"), record("b"), record("c")], spec, seed=0)
    assert "dirichlet:N:ALPHA" in caught.value.remedy


def test_refuses_a_wrong_column_empty_cells_and_too_many_clinics() -> None:
    records = [record("a", clinic="x"), record("b", clinic=" "), record("c")]
    with pytest.raises(SettingsError, match=r"no column 'site'.*Name one of: clinic"):
        partition(records, "site", seed=0)
    with pytest.raises(DatasetError, match=r"2 of 3 images have no clinic, such as b \(column clinic\)"):
        partition(records, "clinic", seed=0)
    with pytest.raises(DatasetError, match="3 lesions cannot be divided among 4 clinics"):
        partition(records, "iid:4", seed=0)


@pytest.mark.parametrize("word", ["", "nan", "NA", "unknown", "Unknown ", "n/a", "None", "?"])
def test_a_missing_value_is_no_clinic(word: str) -> None:
    records = [record("a", clinic="graz"), record("b", clinic=word)]
    with pytest.raises(DatasetError, match="1 of 2 images have no clinic, such as b"):
        partition(records, "clinic", seed=0)


def test_the_clinics_column_may_be_typed_decomposed() -> None:
    assert list(partition([record("a", Höhe="x")], "Ho\u0308he", seed=0)) == ["x"]


def test_a_column_of_pictures_names_no_clinics() -> None:
    with pytest.raises(DatasetError, match=r"the column names images, not clinics, such as NEL/Nel027\.jpg"):
        partition([record("a", clinic="NEL/Nel027.jpg")], "clinic", seed=0)
