from __future__ import annotations

from collections import Counter

import pytest

from dermafed.shared.errors import DatasetError, SettingsError
from dermafed.shared.lesions.class_map import class_map_for, map_classes, parse_class_map
from dermafed.shared.lesions.record import PAPER_CLASSES
from tests.shared.lesions.dataset_files import record

HAM = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")


def test_paper_selects_three_classes_of_ham10000_and_counts_the_rest() -> None:
    records = [record(f"{label}{i}", label) for label in HAM for i in range(2)]
    class_map, mapped, excluded = map_classes(records, "paper")
    assert class_map.names == PAPER_CLASSES
    assert class_map.of == {"mel": "melanoma", "nv": "nevus", "bkl": "seborrheic_keratosis"}
    assert Counter(r.label for r in mapped) == dict.fromkeys(PAPER_CLASSES, 2)
    assert excluded == {"akiec": 2, "bcc": 2, "df": 2, "vasc": 2}
    assert "approximation" in class_map.note


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("MEL", "melanoma"),
        ("Melanoma, NOS", "melanoma"),
        ("Melanoma in situ", "melanoma"),
        ("NV", "nevus"),
        ("melanocytic nevus", "nevus"),
        ("Melanocytic_Naevi", "nevus"),
        ("Seborrheic keratosis", "seborrheic_keratosis"),
        ("seborrheic-keratosis", "seborrheic_keratosis"),
        ("benign keratosis-like lesions", "seborrheic_keratosis"),
        ("Pigmented benign keratosis", "seborrheic_keratosis"),
    ],
)
def test_paper_knows_the_spellings_of_the_field(label: str, name: str) -> None:
    assert parse_class_map("paper", [label, "melanoma", "nevus"]).of[label] == name


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("Nevus, Atypical, Dysplastic, or Clark", "nevus"),
        ("Nevus, NOS, Junctional", "nevus"),
        ("Benign::Benign melanocytic proliferations::Nevus::Nevus, Spitz", "nevus"),
        ("Melanoma in situ, associated with a nevus", "melanoma"),
        ("Melanoma Invasive, On chronically sun-exposed skin or lentigo maligna melanoma", "melanoma"),
        ("Seborrheic keratosis, Clonal", "seborrheic_keratosis"),
        ("Basal cell carcinoma, Nodular", None),
        ("Hidradenoma", None),
        ("Nevus of Ota", None),
        ("Benign::Cysts::Trichilemmal or isthmic-catagen or pilar cyst", None),
        ("Lymphocytic proliferations - T-Cell/NK", None),
        ("Cysts", None),
    ],
)
def test_paper_knows_the_dictionary_of_the_isic_archive(label: str, name: str | None) -> None:
    assert parse_class_map("paper", [label, "melanoma", "nevus"]).of.get(label) == name


@pytest.mark.parametrize(
    "label", ["Nevus, melanoma", "Nevus, suspected melanoma", "Scar, nevus", "Nevus or scar"]
)
def test_a_label_of_two_diagnoses_is_unknown(label: str) -> None:
    with pytest.raises(DatasetError, match="unknown label"):
        parse_class_map("paper", [label, "melanoma", "nevus"])


def test_isic_2017_needs_no_approximation() -> None:
    assert parse_class_map("paper", PAPER_CLASSES).note == ""


def test_all_takes_every_label_by_canonical_name() -> None:
    class_map = parse_class_map("all", [*HAM, "MEL", "Odd  lesion"])
    assert class_map.names == (
        "actinic_keratosis",
        "basal_cell_carcinoma",
        "benign_keratosis",
        "dermatofibroma",
        "melanoma",
        "nevus",
        "odd_lesion",
        "vascular_lesion",
    )
    assert class_map.of["MEL"] == class_map.of["mel"] == "melanoma"


def test_custom_classes_in_the_order_written() -> None:
    class_map = parse_class_map("malignant=mel+Basal cell carcinoma,benign=nv+bkl", HAM)
    assert class_map.names == ("malignant", "benign")
    assert class_map.of == {"mel": "malignant", "bcc": "malignant", "nv": "benign", "bkl": "benign"}
    _, excluded = class_map.apply([record("a", "df"), record("b", "mel")])
    assert excluded == {"df": 1}


def test_a_spelling_wins_over_a_synonym() -> None:
    class_map = parse_class_map("common=nevus,blue=blue nevus", ["nevus", "blue nevus"])
    assert class_map.of == {"nevus": "common", "blue nevus": "blue"}


@pytest.mark.parametrize(
    "spec",
    ["", "new", "a=", "=mel", "a=mel,", "a=mel=nv", "a=mel++nv", "a=mel,a=nv", "a=mel,b=mel", "a=mel,b=xyz"],
)
def test_refuses_malformed_specifications(spec: str) -> None:
    with pytest.raises(SettingsError, match="--classes") as caught:
        parse_class_map(spec, HAM)
    assert caught.value.remedy


def test_refuses_a_label_nobody_knows_naming_an_image() -> None:
    records = [record("a", "mel"), record("b", "nv"), record("c", "wombat"), record("d", "wombat")]
    with pytest.raises(DatasetError, match=r"unknown label 'wombat' \(c\.jpg\)"):
        map_classes(records, "paper")


@pytest.mark.parametrize(
    ("spec", "labels"), [("paper", ["mel", "bcc"]), ("all", ["mel", "MEL"]), ("a=mel", HAM)]
)
def test_refuses_fewer_than_two_classes(spec: str, labels: list[str]) -> None:
    with pytest.raises(DatasetError, match="only 1 of the classes"):
        parse_class_map(spec, labels)


def test_a_saved_models_classes_take_other_sets_labels() -> None:
    seven = parse_class_map("all", HAM)
    of = class_map_for(seven.names, [*PAPER_CLASSES, "Solar lentigo", "scc"]).of
    assert of["seborrheic_keratosis"] == of["Solar lentigo"] == "benign_keratosis"
    assert "scc" not in of
    paper = class_map_for(PAPER_CLASSES, HAM)
    assert paper == parse_class_map("paper", HAM)


def test_a_saved_models_own_class_names() -> None:
    custom = parse_class_map("malignant=mel+bcc,benign=nv", HAM)
    again = class_map_for(custom.names, ["Melanoma", "NV", "df"], of=custom.of)
    assert again.of == {"Melanoma": "malignant", "NV": "benign"}
    assert class_map_for(custom.names, ["Malignant", "benign"]).of == {
        "Malignant": "malignant",
        "benign": "benign",
    }
    with pytest.raises(DatasetError, match="unknown label 'wombat'"):
        class_map_for(custom.names, ["mel", "nv", "wombat"], of=custom.of)


def test_where_classes_are_missing_the_labels_are_named() -> None:
    with pytest.raises(DatasetError, match="occurs in the data, whose labels are: benign, malignant"):
        parse_class_map("paper", iter(["malignant", "benign"]))
