from __future__ import annotations

import base64
import io
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pycocotools.coco import COCO
from pycocotools.mask import area, toBbox

from dermafed.shared.errors import DatasetError
from dermafed.shared.lesions.readers.labelme import labelme_to_coco
from dermafed.shared.lesions.readers.loading import load_dataset
from tests.shared.lesions.dataset_files import document, images


def shape(label: str, points: object, kind: str = "polygon", group: int | None = None) -> dict[str, object]:
    return {"label": label, "points": points, "shape_type": kind, "group_id": group, "flags": {}}


def labelme(path: Path, *shapes: object, width: object = 200, height: object = 150) -> Path:
    content = {
        "version": "5.5.0",
        "flags": {},
        "shapes": shapes,
        "imagePath": path.stem + ".jpg",
        "imageData": None,
        "imageWidth": width,
        "imageHeight": height,
    }
    return document(path, content)


def test_worked_example_of_areas_boxes_and_categories(tmp_path: Path) -> None:
    labelme(tmp_path / "a.json", shape("nevus", [[50, 20], [10, 60]], "rectangle"))
    labelme(
        tmp_path / "sub" / "b.json",
        shape("melanoma", [[0, 0], [100, 0], [0, 50]]),
        shape("nevus", [[0, 100], [20, 100], [20, 110], [0, 110]], group=1),
        shape("nevus", [[190, 140], [300, 140], [300, 900], [190, 900]], group=1),
    )
    result = json.loads(labelme_to_coco(tmp_path, tmp_path / "out" / "coco.json").read_text())
    assert [(c["id"], c["name"]) for c in result["categories"]] == [(1, "melanoma"), (2, "nevus")]
    assert [(i["id"], i["file_name"], i["width"], i["height"]) for i in result["images"]] == [
        (1, "a.jpg", 200, 150),
        (2, "sub/b.jpg", 200, 150),
    ]
    found = [
        (a["image_id"], a["category_id"], a["area"], a["bbox"], a["iscrowd"]) for a in result["annotations"]
    ]
    assert found == [
        (1, 2, 1600, [10, 20, 40, 40], 0),
        (2, 1, 2500, [0, 0, 100, 50], 0),
        (2, 2, 300, [0, 100, 200, 50], 0),  # two parts, 20x10 and, cut at the image's border, 10x10
    ]
    assert len(result["annotations"][2]["segmentation"]) == 2


@settings(max_examples=25, deadline=None)
@given(
    radii=st.lists(st.floats(15, 60), min_size=3, max_size=16),
    centre=st.tuples(st.floats(61, 139), st.floats(61, 89)),
)
def test_agrees_with_pycocotools_mask_arithmetic(
    tmp_path_factory: pytest.TempPathFactory, radii: list[float], centre: tuple[float, float]
) -> None:
    folder = tmp_path_factory.mktemp("labelme")
    angles = np.linspace(0, 2 * np.pi, len(radii), endpoint=False)
    points = np.array(centre) + np.array(radii)[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    labelme(folder / "a.json", shape("nevus", points.tolist()))
    coco = COCO(str(labelme_to_coco(folder, folder / "coco.json")))
    annotation = coco.loadAnns(coco.getAnnIds())[0]
    mask = coco.annToMask(annotation)
    rows, columns = np.nonzero(mask)
    perimeter = np.linalg.norm(points - np.roll(points, -1, axis=0), axis=1).sum()
    assert abs(annotation["area"] - mask.sum()) <= perimeter  # the mask rounds the border to whole pixels
    x, y, width, height = annotation["bbox"]
    # One-sided: whole pixels do not reach into the tip of an acute corner.
    assert min(columns.min() - x, rows.min() - y) >= -1
    assert max(columns.max() + 1 - x - width, rows.max() + 1 - y - height) <= 1


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 150), st.integers(0, 100), st.integers(1, 50), st.integers(1, 50), st.booleans())
def test_a_box_of_whole_pixels_is_pycocotools_own(
    tmp_path_factory: pytest.TempPathFactory, x: int, y: int, width: int, height: int, is_polygon: bool
) -> None:
    folder = tmp_path_factory.mktemp("labelme")
    low, high = [x, y], [x + width, y + height]
    corners = [low, [high[0], y], high, [x, high[1]]]
    labelme(
        folder / "a.json", shape("nevus", corners) if is_polygon else shape("nevus", [high, low], "rectangle")
    )
    coco = COCO(str(labelme_to_coco(folder, folder / "coco.json")))
    annotation = coco.loadAnns(coco.getAnnIds())[0]
    run_lengths = coco.annToRLE(annotation)
    assert annotation["area"] == area(run_lengths) == width * height
    assert annotation["bbox"] == toBbox(run_lengths).tolist() == [x, y, width, height]


def test_what_is_written_reads_back_as_the_same_labels(tmp_path: Path) -> None:
    images(tmp_path, "a.jpg", "b.jpg")
    labelme(tmp_path / "a.json", shape("nevus", [[0, 0], [9, 0], [9, 9]]))
    labelme(tmp_path / "b.json", shape("melanoma", [[0, 0], [9, 9]], "rectangle"))
    before = load_dataset(tmp_path)
    assert before.kind == "LabelMe JSON"
    after = load_dataset(labelme_to_coco(tmp_path, tmp_path / "coco.json"))
    assert [(r.image_id, r.label, r.path) for r in after.records] == [
        (r.image_id, r.label, r.path) for r in before.records
    ]


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (shape("nevus", [[1, 1], [2, 2]], "line"), r"a line of 2 points has no area \(.*a\.json, shape 2\)"),
        (shape("nevus", [[1, 1], [2, 2]]), "a polygon of 2 points has no area"),
        (shape("nevus", [[1, 1], [2, 2], [3, 3]]), "no area"),
        (shape("nevus", [[1, 1], [1, float("nan")], [3, 3]]), "no area"),
        (shape("nevus", "points"), "no area"),
    ],
)
def test_refuses_shapes_without_area_and_writes_nothing(tmp_path: Path, bad: object, message: str) -> None:
    labelme(tmp_path / "a.json", shape("nevus", [[0, 0], [9, 9]], "rectangle"), bad)
    with pytest.raises(DatasetError, match=message):
        labelme_to_coco(tmp_path, tmp_path / "coco.json")
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_refuses_a_missing_size_an_empty_folder_and_an_existing_file(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no LabelMe file"):
        labelme_to_coco(tmp_path, tmp_path / "coco.json")
    path = labelme(tmp_path / "a.json", shape("nevus", [[0, 0], [9, 9]], "rectangle"), width=None)
    with pytest.raises(DatasetError, match="no imageWidth and imageHeight"):
        labelme_to_coco(tmp_path, tmp_path / "coco.json")
    with pytest.raises(DatasetError, match="the file exists"):
        labelme_to_coco(tmp_path, path)


def encoded(mask: object) -> str:
    file = io.BytesIO()
    Image.fromarray(np.array(mask, np.uint8) * 255).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def only_annotation(folder: Path) -> tuple[COCO, dict[str, object]]:
    coco = COCO(str(labelme_to_coco(folder, folder / "coco.json")))
    (annotation,) = coco.loadAnns(coco.getAnnIds())
    return coco, annotation


def test_a_circle_is_a_polygon_of_its_area(tmp_path: Path) -> None:
    labelme(tmp_path / "a.json", shape("nevus", [[100, 75], [130, 75]], "circle"))
    _, annotation = only_annotation(tmp_path)
    assert annotation["area"] == pytest.approx(np.pi * 30**2, rel=1e-3)
    assert annotation["bbox"] == pytest.approx([70, 45, 60, 60])


@pytest.mark.parametrize("kind", ["rotation", "oriented_rectangle"])
def test_a_rectangle_at_an_angle(tmp_path: Path, kind: str) -> None:
    labelme(tmp_path / "a.json", shape("nevus", [[50, 40], [70, 60], [50, 80], [30, 60]], kind))
    _, annotation = only_annotation(tmp_path)
    assert (annotation["area"], annotation["bbox"]) == (800, [30, 40, 40, 40])


def test_a_mask_keeps_its_pixels_and_is_cut_at_the_border(tmp_path: Path) -> None:
    drawn = [[0, 1, 1], [1, 1, 0]]
    mask = shape("nevus", [[10, 20], [12, 21]], "mask") | {"mask": encoded(drawn)}
    labelme(tmp_path / "a.json", mask)
    coco, annotation = only_annotation(tmp_path)
    pixels = np.zeros((150, 200), np.uint8)
    pixels[20:22, 10:13] = drawn
    assert np.array_equal(coco.annToMask(annotation), pixels)
    assert (annotation["area"], annotation["bbox"]) == (4, [10, 20, 3, 2])
    (tmp_path / "coco.json").unlink()
    labelme(tmp_path / "a.json", mask | {"points": [[198, -1], [200, 0]]})
    _, annotation = only_annotation(tmp_path)
    assert (annotation["area"], annotation["bbox"]) == (2, [198, 0, 2, 1])


@pytest.mark.parametrize("mask", [None, "", "no base64!", encoded([[0, 0]])])
def test_refuses_a_mask_that_cannot_be_read_or_is_empty(tmp_path: Path, mask: object) -> None:
    labelme(tmp_path / "a.json", shape("nevus", [[10, 20], [11, 20]], "mask") | {"mask": mask})
    with pytest.raises(DatasetError, match=r"a mask (that cannot be read|has no area) \(.*a\.json, shape 1"):
        labelme_to_coco(tmp_path, tmp_path / "coco.json")


def test_a_flag_is_the_category_and_the_shape_keeps_its_own_label(tmp_path: Path) -> None:
    flagged = {"flags": {"melanoma": True, "nevus": False}, "imagePath": "a.jpg"} | {"imageData": None}
    flagged |= {"imageWidth": 200, "imageHeight": 150}
    document(tmp_path / "a.json", flagged | {"shapes": [shape("lesion", [[0, 0], [9, 9]], "rectangle")]})
    document(tmp_path / "b.json", flagged | {"shapes": [], "imagePath": "b.jpg"})
    result = json.loads(labelme_to_coco(tmp_path, tmp_path / "coco.json").read_text())
    assert [each["name"] for each in result["categories"]] == ["melanoma"]
    first, second = result["annotations"]
    assert first["attributes"] == {"shape": "lesion"}
    assert (second["bbox"], second["area"]) == ([0, 0, 200, 150], 30000)
    assert "attributes" not in second


@pytest.mark.parametrize("turned", [False, True])
def test_a_size_that_is_not_told_is_the_images(tmp_path: Path, turned: bool) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6 if turned else 1
    Image.new("RGB", (40, 30)).save(tmp_path / "a.jpg", exif=exif)
    labelme(tmp_path / "a.json", shape("nevus", [[0, 0], [9, 9]], "rectangle"), width=None, height=None)
    coco, _ = only_annotation(tmp_path)
    (image,) = coco.loadImgs(coco.getImgIds())
    assert (image["width"], image["height"]) == ((30, 40) if turned else (40, 30))


SHAPES = st.sampled_from(
    [
        ([[1, 1], [9, 9]], "rectangle"),
        ([[1, 1], [9, 1], [9, 9]], "polygon"),
        ([[5, 5], [9, 9]], "circle"),
        ([[5, 1], [9, 5], [5, 9], [1, 5]], "rotation"),
        ([[1, 1], [2, 1]], "mask"),
    ]
)
LABELS = st.sampled_from(["nevus", "melanoma", " nevus", "unknown", "", "N\u00e4vus", "Na\u0308vus"])
ENTRIES = st.tuples(
    st.lists(st.tuples(LABELS, SHAPES), max_size=2),
    st.dictionaries(LABELS, st.booleans(), max_size=2),
    st.sampled_from(["{}", "..\\x\\{}", "/volume1/x/{}", "C:\\y\\{}", "./{}"]),
)


@settings(max_examples=150, deadline=None)
@given(entries=st.lists(ENTRIES, min_size=1, max_size=3), skip_bad=st.booleans(), same=st.booleans())
def test_what_is_converted_reads_as_before(
    tmp_path_factory: pytest.TempPathFactory,
    entries: list[tuple],
    skip_bad: bool,
    same: bool,  # type: ignore[type-arg]
) -> None:
    """load(convert(X)) = load(X): the labels and images, or no label in both."""
    folder = tmp_path_factory.mktemp("labelme")
    for number, (shapes, flags, path) in enumerate(entries):
        name = "DSC.jpg" if same else f"{number}.jpg"
        images(folder, f"P{number}/{name}")
        content = {"imagePath": (path.format(name) if not same else name), "flags": flags}
        drawn = [
            shape(label, points, kind) | ({"mask": encoded([[1, 1]])} if kind == "mask" else {})
            for label, (points, kind) in shapes
        ]
        content |= {"shapes": drawn, "imageWidth": 20, "imageHeight": 10}
        document(folder / f"P{number}" / f"{number}.json", content)

    def read(path: Path) -> object:
        try:
            return [
                (one.image_id, one.label, one.path) for one in load_dataset(path, skip_bad=skip_bad).records
            ]
        except DatasetError:
            return "refused"

    before = read(folder)
    try:
        written = labelme_to_coco(folder, folder / "coco.json")
    except DatasetError as error:
        refused = error.what
    else:
        assert read(written) == before
        assert read(folder) == before  # the COCO file counts where it lies beside LabelMe's
        return
    assert "several labels" in refused  # of the image, which the reader refuses too
    assert skip_bad or before == "refused"
