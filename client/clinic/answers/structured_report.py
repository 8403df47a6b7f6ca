"""A diagnosis as a DICOM structured report by template TID 1500: preliminary, and verified by nobody.

What no standard names has a code of DermaFed's own.
"""

from __future__ import annotations

from highdicom.sr import (
    AlgorithmIdentification,
    CodedConcept,
    ComprehensiveSR,
    DeviceObserverIdentifyingAttributes,
    Measurement,
    MeasurementReport,
    MeasurementsAndQualitativeEvaluations,
    ObservationContext,
    ObserverContext,
    QualitativeEvaluation,
    SourceImageForMeasurementGroup,
    TrackingIdentifier,
)
from pydicom import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage

from dermafed.client.clinic.answers.codes import (
    DERMOSCOPY,
    PROBABILITY,
    UNDECIDED,
    Concept,
    concept_of,
    display_name,
    uid_of,
)
from dermafed.client.clinic.answers.dicom_source import (
    has_image,
    local_time,
    mark,
    share,
    source_of,
    text,
    without_texts,
)
from dermafed.client.clinic.answers.lesion_numbers import lesion_numbers
from dermafed.client.clinic.diagnosis.diagnosis import USE, Diagnosis
from dermafed.shared.lesion_finder.outline import Nothing

OWN = "99DERMAFED"  # PS3.16, section 8: a scheme of one's own begins with 99

SERIES = 9002


def own(code: str, meaning: str) -> CodedConcept:
    """A concept of DermaFed's own."""
    return CodedConcept(text(code), OWN, text(meaning))


CLASS = own("class", "Class")
PREDICTION = own("prediction", "Most probable class")
UNSURE = own("unsure", UNDECIDED)
OUT_OF_DISTRIBUTION = own("outside", "May be outside what the model has seen")
ALERT = own("alert", "Alert for melanoma")
LESION = own("lesion", "A lesion was found in the image")
WHY_NONE = own("no-lesion", "Why no lesion was found")
WHOLE = own("whole", "All of the lesion is in the image")
QUALITY = own("quality", "Image quality")

_MEASURED = {"area": codes.SCT.Area, "diameter": codes.SCT.Diameter}
_REASONS = {str(each): each.name.lower() for each in Nothing}
_UNITS = {"1": codes.UCUM.NoUnits, "mm": codes.UCUM.Millimeter, "mm2": codes.UCUM.SquareMillimeter}


def coded(concept: Concept) -> CodedConcept:
    """A standard concept."""
    return CodedConcept(concept.code, concept.scheme, concept.meaning)


def class_code(name: str) -> CodedConcept:
    """A class by its code where one is known for sure, else by its name."""
    concept = concept_of(name)
    return own(name, display_name(name)) if concept is None else coded(concept)


def yes_or_no(value: bool) -> CodedConcept:
    """A yes or no as a code."""
    return CodedConcept.from_code(codes.SCT.Yes if value else codes.SCT.No)


def own_scheme() -> Dataset:
    """Whose codes those of DermaFed are."""
    item = Dataset()
    item.CodingSchemeDesignator, item.CodingSchemeName = OWN, "DermaFed"
    item.CodingSchemeResponsibleOrganization = "DermaFed"
    return item


def structured_report(diagnosis: Diagnosis, reference: str | None = None) -> ComprehensiveSR:
    """Write the probabilities, the doubts, and the model.

    Args:
        diagnosis: to write.
        reference: of the DICOM object that came, if one did.

    Returns:
        The object; the same for the same diagnosis.
    """
    source, made = source_of(diagnosis, reference), local_time(diagnosis)
    report = ComprehensiveSR(
        evidence=_evidence(diagnosis, source),
        content=_content(diagnosis, source),
        series_instance_uid=uid_of(diagnosis.id, "report series"),
        series_number=SERIES,
        sop_instance_uid=uid_of(diagnosis.id, "report"),
        instance_number=1,
        manufacturer="DermaFed",
        is_complete=True,
        manufacturer_model_name=text(diagnosis.model.name),
        software_versions=f"round {diagnosis.model.round}",
        device_serial_number=diagnosis.model.sha256,
        series_description=f"Probabilities. {USE}",
        content_date=made.date(),
        content_time=made.time(),
        transfer_syntax_uid=ExplicitVRLittleEndian,
    )
    share(report, source)
    mark(report, diagnosis)
    report.CodingSchemeIdentificationSequence = [own_scheme()]
    return report


def _evidence(diagnosis: Diagnosis, source: Dataset) -> list[Dataset]:
    """The image that came, if it was DICOM, and the heatmap."""
    image, heatmap = without_texts(source), without_texts(source)
    heatmap.SOPClassUID = SecondaryCaptureImageStorage
    heatmap.SOPInstanceUID = uid_of(diagnosis.id, "secondary capture")
    heatmap.SeriesInstanceUID = uid_of(diagnosis.id, "secondary capture series")
    return [image, heatmap] if has_image(source) else [heatmap]


def _content(diagnosis: Diagnosis, source: Dataset) -> MeasurementReport:
    whole = _group(diagnosis, source, "Diagnosis", _evaluations(diagnosis))
    classes = [
        _group(
            diagnosis,
            source,
            f"Probability of {display_name(name)}",
            [QualitativeEvaluation(CLASS, class_code(name))],
            [Measurement(coded(PROBABILITY), value, codes.UCUM.NoUnits)],
        )
        for name, value in diagnosis.probabilities.items()
    ]
    return MeasurementReport(
        observation_context=ObservationContext(observer_device_context=_observer(diagnosis)),
        procedure_reported=coded(DERMOSCOPY),
        imaging_measurements=[whole, *classes, *_lesion(diagnosis, source)],
        title=codes.DCM.ImagingMeasurementReport,
    )


def _group(
    diagnosis: Diagnosis,
    source: Dataset,
    name: str,
    evaluations: list[QualitativeEvaluation],
    measurements: list[Measurement] | None = None,
) -> MeasurementsAndQualitativeEvaluations:
    # The class is an evaluation, not the group's finding: it must not read as if it was found.
    return MeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(uid_of(diagnosis.id, name), text(name)),
        algorithm_id=_algorithm(diagnosis),
        measurements=measurements,
        qualitative_evaluations=evaluations,
        source_images=_images(source),
    )


def _lesion(diagnosis: Diagnosis, source: Dataset) -> list[MeasurementsAndQualitativeEvaluations]:
    """Whether a lesion was found, with its measures; nothing where the model has no finder."""
    if diagnosis.lesion is None:
        return []
    measures = diagnosis.lesion.measures
    found = [QualitativeEvaluation(LESION, yes_or_no(measures is not None))]
    if measures is None:
        reason = diagnosis.lesion.reason or ""
        found.append(QualitativeEvaluation(WHY_NONE, own(_REASONS.get(reason, "margin"), reason)))
        return [_group(diagnosis, source, "Lesion", found)]
    found.append(QualitativeEvaluation(WHOLE, yes_or_no(measures.whole)))
    numbers = [
        Measurement(_MEASURED.get(each.code) or own(each.code, each.name), each.value, _UNITS[each.unit])
        for each in lesion_numbers(measures)
    ]
    return [_group(diagnosis, source, "Lesion", found, numbers)]


def _images(source: Dataset) -> list[SourceImageForMeasurementGroup] | None:
    if not has_image(source):
        return None
    return [SourceImageForMeasurementGroup(source.SOPClassUID, source.SOPInstanceUID)]


def _evaluations(diagnosis: Diagnosis) -> list[QualitativeEvaluation]:
    """The results for the image as a whole; those that were not fitted are left out."""
    rules = {UNSURE: diagnosis.unsure, OUT_OF_DISTRIBUTION: diagnosis.outside, ALERT: diagnosis.alert}
    found = [(PREDICTION, class_code(diagnosis.prediction))]
    found += [(name, yes_or_no(value)) for name, value in rules.items() if value is not None]
    found += [(QUALITY, own(caution.code, caution.text)) for caution in diagnosis.cautions]
    return [QualitativeEvaluation(name, value) for name, value in found]


def _algorithm(diagnosis: Diagnosis) -> AlgorithmIdentification:
    return AlgorithmIdentification(
        name=text(diagnosis.model.name),
        version=f"round {diagnosis.model.round}, sha256 {diagnosis.model.sha256}",
        parameters=[USE],
        family=codes.DCM.ArtificialIntelligence,
        manufacturer="DermaFed",
    )


def _observer(diagnosis: Diagnosis) -> ObserverContext:
    model = diagnosis.model
    device = DeviceObserverIdentifyingAttributes(
        uid=uid_of(model.sha256[:32], "model"),
        name=text(model.name),
        manufacturer_name="DermaFed",
        model_name=text(model.name),
        serial_number=model.sha256,
    )
    return ObserverContext(codes.DCM.Device, device)
