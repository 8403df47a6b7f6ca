"""Each code of an answer against its source, and R4's required value sets, written out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pydicom.sr.codedict import codes

from dermafed.client.clinic.answers.codes import DERMOSCOPY, PROBABILITY, concept_of
from dermafed.client.clinic.answers.fhir import to_fhir
from tests.client.clinic.answers.sample import DOUBTED, PLAIN

SNOMED, DCM = "http://snomed.info/sct", "http://dicom.nema.org/resources/ontology/DCM"
HL7 = "http://terminology.hl7.org/CodeSystem/"

KNOWN_CODES = {
    # HL7 Europe, value set eHDSI Morphologic Abnormality 8.1.0, expanded with SNOMED CT of February 2025.
    (SNOMED, "1162635006"): "Malignant melanoma",
    (SNOMED, "1163403006"): "Pigmented nevus",
    (SNOMED, "25499005"): "Seborrheic keratosis",
    (SNOMED, "1338007"): "Basal cell carcinoma",
    (SNOMED, "1162767002"): "Squamous cell carcinoma",
    # HL7 Switzerland, CH LAB-Order 3.0.0, the example report of a dermatoscopy.
    (SNOMED, "1237125003"): "Dermatoscopy of skin",
    # DICOM PS3.16, annex D.
    (DCM, "122157"): "Probability",
    # HL7 Terminology, ObservationValue; recommended by AI Transparency on FHIR 1.0.0.
    (HL7 + "v3-ObservationValue", "AIAST"): "Artificial Intelligence asserted",
    # FHIR R4, its own code systems and those of HL7 version 2.
    (HL7 + "v2-0074", "IMG"): "Diagnostic Imaging",
    (HL7 + "media-type", "image"): "Image",
    (HL7 + "observation-category", "imaging"): "Imaging",
    (HL7 + "data-absent-reason", "not-performed"): "Not Performed",
    (HL7 + "provenance-participant-type", "performer"): "Performer",
}

# FHIR R4, bindings of strength "required" of the elements that a bundle uses.
EVENT = {"preparation", "in-progress", "not-done", "on-hold", "stopped", "completed"}
RESULT = {
    "registered",
    "preliminary",
    "final",
    "amended",
    "corrected",
    "cancelled",
    "entered-in-error",
    "unknown",
}
REQUIRED = {
    "Bundle.type": {
        "document", "message", "transaction", "transaction-response", "batch", "batch-response", "history",
        "searchset", "collection",
    },
    "DiagnosticReport.status": RESULT | {"partial", "appended"},
    "DiagnosticReport.text.status": {"generated", "extensions", "additional", "empty"},
    "Observation.status": RESULT,
    "Media.status": EVENT | {"entered-in-error", "unknown"},
    "Device.status": {"active", "inactive", "entered-in-error", "unknown"},
    "Device.deviceName.type": {
        "udi-label-name", "user-friendly-name", "patient-reported-name", "manufacturer-name",
        "model-name", "other",
    },
    "Provenance.entity.role": {"derivation", "revision", "quotation", "source", "removal"},
}  # fmt: skip


def walk(node: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(node, dict):
        path = node.get("resourceType", path)
        yield path, node
        for name, value in node.items():
            yield from walk(value, f"{path}.{name}")
    elif isinstance(node, list):
        for value in node:
            yield from walk(value, path)
    else:
        yield path, node


BUNDLES = [to_fhir(PLAIN, b"png"), to_fhir(DOUBTED, b"png")]


def test_every_code_is_a_known_one() -> None:
    used = {}
    for bundle in BUNDLES:
        for _, node in walk(bundle, ""):
            if isinstance(node, dict) and {"system", "code", "display"} <= node.keys():
                used[node["system"], node["code"]] = node["display"]
    known = {key: KNOWN_CODES[key] for key in used}
    assert used == known
    assert len(used) >= 11


def test_required_bindings_are_met() -> None:
    met = set()
    for bundle in BUNDLES:
        for path, node in walk(bundle, ""):
            if path in REQUIRED and isinstance(node, str):
                assert node in REQUIRED[path], path
                met.add(path)
    assert met == REQUIRED.keys()


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("MEL", "1162635006"),
        ("nv", "1163403006"),
        ("sk", "25499005"),
        ("bcc", "1338007"),
        ("scc", "1162767002"),
    ],
)
def test_a_class_has_its_code_however_it_is_spelt(name: str, code: str) -> None:
    concept = concept_of(name)
    assert concept is not None
    assert KNOWN_CODES[SNOMED, concept.code] == concept.meaning
    assert concept.code == code


def test_a_class_that_only_resembles_a_coded_one_has_none() -> None:
    assert [concept_of(name) for name in ("bkl", "vasc", "other", "ours")] == [None] * 4


def test_the_codes_of_dicom_are_in_its_dictionary() -> None:
    assert codes.DCM.Probability.value == PROBABILITY.code
    assert codes.SCT.MalignantMelanoma.value == getattr(concept_of("melanoma"), "code", None)
    assert codes.SCT.SquamousCellCarcinoma.value == getattr(concept_of("scc"), "code", None)


@pytest.mark.parametrize("code", [code for system, code in KNOWN_CODES if system == SNOMED])
def test_snomed_identifiers_have_their_check_digit(code: str) -> None:
    assert verhoeff(code) == 0
    assert DERMOSCOPY.code == "1237125003"


def verhoeff(digits: str) -> int:
    """The check of SNOMED CT's identifiers, in the dihedral group of order 10 (Verhoeff 1969)."""

    def times(a: int, b: int) -> int:
        if a < 5:
            return (a + b) % 5 if b < 5 else 5 + (a + b - 5) % 5
        return 5 + (a - 5 - b) % 5 if b < 5 else (a - b) % 5

    permuted, total = list(range(10)), 0
    for digit in reversed(digits):
        total = times(total, permuted[int(digit)])
        permuted = [(1, 5, 7, 6, 2, 8, 3, 0, 9, 4)[each] for each in permuted]
    return total
