"""A diagnosis as DICOM objects: the heatmap and the report, in the study of the image."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.uid import ComprehensiveSRStorage, SecondaryCaptureImageStorage

from dermafed.client.clinic.answers.dicom_source import to_file
from dermafed.client.clinic.dicom.instance import diagnose_instance
from dermafed.client.clinic.dicom.multipart import read_related, write_related
from dermafed.client.clinic.intake.receive import receive
from dermafed.client.clinic.intake.refusals import Refused
from dermafed.client.clinic.service import Kind
from dermafed.shared.explain.overlay import blend
from tests.client.clinic.dicom.dicom_node import SIDE, Node
from tests.client.clinic.dicom.dicom_objects import as_file, dciodvfy, draw_jpeg, encapsulated

KINDS: tuple[Kind, ...] = ("sc", "sr")


def answers(node: Node, id: str) -> list[bytes]:
    return [to_file(node.service.dicom_answer(id, kind)) for kind in KINDS]


def save_one(node: Node, as_dicom: bool) -> str:
    if as_dicom:
        data = as_file(encapsulated(draw_jpeg()))
        return diagnose_instance(node.service, data, "camera-1", {})[1].id
    return node.service.diagnose(receive(draw_jpeg()), "camera-1").id


def parts(body: bytes, content_type: str) -> list[bytes]:
    async def whole() -> AsyncIterator[bytes]:
        yield body

    return asyncio.run(read_related(content_type, whole(), len(body)))


@pytest.mark.parametrize("as_dicom", [False, True])
def test_both_objects_are_valid_of_one_study_and_repeatable(
    node: Node, as_dicom: bool, tmp_path: Path
) -> None:
    id = save_one(node, as_dicom)
    files = answers(node, id)
    assert files == answers(node, id)
    image, report = (dcmread(BytesIO(each)) for each in files)
    assert (image.SOPClassUID, report.SOPClassUID) == (SecondaryCaptureImageStorage, ComprehensiveSRStorage)
    assert image.StudyInstanceUID == report.StudyInstanceUID
    assert [dciodvfy(each, tmp_path)[0] for each in files] == [[], []]


def test_the_image_is_the_heatmap_of_the_predicted_class_over_what_the_network_saw(node: Node) -> None:
    id = save_one(node, as_dicom=False)
    file = answers(node, id)[0]
    overlay = blend(node.store.load_prepared(id), node.service.heatmap(id).heatmap)
    enlarged = dcmread(BytesIO(file)).pixel_array[:512]
    # Each of its pixels became a block: the middles of the blocks are near it.
    middles = enlarged[512 // SIDE // 2 :: 512 // SIDE, 512 // SIDE // 2 :: 512 // SIDE]
    assert np.abs(middles.astype(int) - overlay).mean() < 12


def test_the_objects_travel_as_parts_of_one_body(node: Node) -> None:
    id = save_one(node, as_dicom=True)
    files = answers(node, id)
    assert parts(*write_related(files)) == files


def test_an_unknown_id_is_refused(node: Node) -> None:
    with pytest.raises(Refused) as caught:
        answers(node, "0" * 32)
    assert caught.value.status == 404
