"""The heatmap over its image as a DICOM Secondary Capture, in the study of the image."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap

import numpy as np
from highdicom.sc import SCImage
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from pydicom import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import ExplicitVRLittleEndian

from dermafed.client.clinic.answers.codes import conclusion, display_name, uid_of
from dermafed.client.clinic.answers.dicom_source import has_image, local_time, mark, share, source_of, text
from dermafed.client.clinic.diagnosis.diagnosis import USE, Diagnosis
from dermafed.shared.explain.overlay import CAVEAT

SERIES = 9001  # far from those of the modality
_SIDE = 512  # at least so wide, for the text to be readable
_MARGIN, _LINE = 8, 22
_CHARACTERS = 60  # of a line that is so wide


def secondary_capture(
    diagnosis: Diagnosis, overlay: NDArray[np.uint8], reference: str | None = None, colours: str = ""
) -> SCImage:
    """Write the overlay as a derived image; its pixels and its header say what it is not.

    Args:
        diagnosis: to write.
        overlay: the map of the predicted class over the image, RGB uint8 (H, W, 3).
        reference: of the DICOM object that came, if one did.
        colours: what the overlay's colours mean, in words; a sentence, where it has to be said.

    Returns:
        The object; the same for the same diagnosis and overlay.
    """
    source, made = source_of(diagnosis, reference), local_time(diagnosis)
    question = f"What moved the score: {display_name(diagnosis.prediction)}"
    doubts = [line for doubt in diagnosis.doubts for line in wrap(doubt, _CHARACTERS)]
    lines = [*doubts, question, *([colours] if colours else []), CAVEAT, USE]
    derived = colours or "Class activation map over the image."
    image = SCImage(
        pixel_array=_captioned(overlay, lines),
        photometric_interpretation="RGB",
        bits_allocated=8,
        coordinate_system="PATIENT",
        patient_orientation=("L", "F"),  # asked for; emptied below
        study_instance_uid=source.StudyInstanceUID,
        series_instance_uid=uid_of(diagnosis.id, "secondary capture series"),
        series_number=SERIES,
        sop_instance_uid=uid_of(diagnosis.id, "secondary capture"),
        instance_number=1,
        manufacturer="DermaFed",
        manufacturer_model_name=text(diagnosis.model.name),
        software_versions=f"round {diagnosis.model.round}",
        device_serial_number=diagnosis.model.sha256,
        series_description=f"Heatmap. {USE}",
        content_date=made.date(),
        content_time=made.time(),
        transfer_syntax_uid=ExplicitVRLittleEndian,
    )
    share(image, source)
    mark(image, diagnosis)
    image.PatientOrientation, image.Laterality = [], ""
    image.ConversionType = "WSD"
    image.DateOfSecondaryCapture, image.TimeOfSecondaryCapture = image.ContentDate, image.ContentTime
    image.BurnedInAnnotation = "NO"  # YES would mean that the pixels identify the patient
    image.ImageComments = text(conclusion(diagnosis), 1024)
    image.DerivationDescription = text(f"{derived} {CAVEAT} {USE}", 1024)
    if has_image(source):
        image.SourceImageSequence = [_source_image(source)]
    return image


def _source_image(source: Dataset) -> Dataset:
    purpose, item = Dataset(), Dataset()
    code = codes.DCM.SourceImageForImageProcessingOperation
    purpose.CodeValue, purpose.CodingSchemeDesignator = code.value, code.scheme_designator
    purpose.CodeMeaning = code.meaning
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = source.SOPClassUID, source.SOPInstanceUID
    item.PurposeOfReferenceCodeSequence = [purpose]
    return item


def _captioned(overlay: NDArray[np.uint8], lines: Sequence[str]) -> NDArray[np.uint8]:
    """The overlay, enlarged if it is small, and below it what it shows and what it is not."""
    picture = Image.fromarray(overlay)
    if picture.width < _SIDE:
        height = round(picture.height * _SIDE / picture.width)
        picture = picture.resize((_SIDE, height), Image.Resampling.BICUBIC)
    sheet = Image.new("RGB", (picture.width, picture.height + 2 * _MARGIN + _LINE * len(lines)), "white")
    sheet.paste(picture)
    drawing, font = ImageDraw.Draw(sheet), ImageFont.load_default(16)
    for number, line in enumerate(lines):
        drawing.text((_MARGIN, picture.height + _MARGIN + _LINE * number), line, "black", font)
    return np.array(sheet)
