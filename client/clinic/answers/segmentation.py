"""The outline of a lesion as a DICOM Segmentation, in the study of its image."""

from __future__ import annotations

import numpy as np
from highdicom import AlgorithmIdentificationSequence
from highdicom.seg import (
    SegmentAlgorithmTypeValues,
    Segmentation,
    SegmentationTypeValues,
    SegmentDescription,
)
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import ExplicitVRLittleEndian

from dermafed.client.clinic.answers.codes import uid_of
from dermafed.client.clinic.answers.dicom_source import (
    mark,
    share,
    source_of,
    text,
    without_texts,
)
from dermafed.client.clinic.diagnosis.diagnosis import USE, Diagnosis

SERIES = 9003


def segmentation(diagnosis: Diagnosis, mask: NDArray[np.bool_], reference: str | None) -> Segmentation:
    """Write the lesion as a binary segment.

    Args:
        diagnosis: with a lesion that was found.
        mask: of the lesion in the image as it came, bool (H, W).
        reference: of the DICOM object that came: a segmentation has to name its image.

    Returns:
        The object; the same for the same diagnosis.
    """
    source = source_of(diagnosis, reference)
    answer = Segmentation(
        source_images=[_photograph(source, mask.shape)],
        pixel_array=mask,
        segmentation_type=SegmentationTypeValues.BINARY,
        segment_descriptions=[_segment(diagnosis)],
        series_instance_uid=uid_of(diagnosis.id, "segmentation series"),
        series_number=SERIES,
        sop_instance_uid=uid_of(diagnosis.id, "segmentation"),
        instance_number=1,
        manufacturer="DermaFed",
        manufacturer_model_name=text(diagnosis.model.name),
        software_versions=f"round {diagnosis.model.round}",
        device_serial_number=diagnosis.model.sha256,
        content_label="LESION",
        content_description="Lesion found by a program, not verified",
        series_description=text(f"Lesion. {USE}"),
        transfer_syntax_uid=ExplicitVRLittleEndian,
    )
    share(answer, source)
    mark(answer, diagnosis)
    answer.ContentDate, answer.ContentTime = answer.InstanceCreationDate, answer.InstanceCreationTime
    _name_dimensions(answer, uid_of(diagnosis.id, "segmentation dimensions"))
    answer.PatientOrientation = []
    return answer


def _photograph(source: Dataset, shape: tuple[int, ...]) -> Dataset:
    """What a segmentation has to know of the image that came."""
    photograph = without_texts(source)
    photograph.Modality = "XC"
    photograph.Rows, photograph.Columns = shape
    return photograph


def _segment(diagnosis: Diagnosis) -> SegmentDescription:
    return SegmentDescription(
        segment_number=1,
        segment_label="Lesion",
        segmented_property_category=codes.SCT.MorphologicallyAbnormalStructure,
        segmented_property_type=codes.SCT.Lesion,
        algorithm_type=SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=AlgorithmIdentificationSequence(
            name=text(diagnosis.model.name),
            family=codes.DCM.ArtificialIntelligence,
            version=text(f"round {diagnosis.model.round}"),
        ),
        tracking_uid=uid_of(diagnosis.id, "lesion"),
        tracking_id="Lesion",
    )


def _name_dimensions(answer: Dataset, uid: str) -> None:
    """In place of the random UID of the dimensions, so that asking twice gives the same bytes."""
    for item in (*answer.DimensionOrganizationSequence, *answer.DimensionIndexSequence):
        item.DimensionOrganizationUID = uid
