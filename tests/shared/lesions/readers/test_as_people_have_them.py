"""Files and tables as people have them: kinds of image, system folders, spreadsheets, scripts."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dermafed.shared.errors import DatasetError
from dermafed.shared.lesions.class_map import map_classes
from dermafed.shared.lesions.diagnoses import normalise
from dermafed.shared.lesions.readers.loading import load_dataset
from tests.shared.lesions.dataset_files import document, images, table


def labels(path: Path, skip_bad: bool = False) -> dict[str, str]:
    return {record.image_id: record.label for record in load_dataset(path, skip_bad=skip_bad).records}


def test_one_name_in_two_class_folders(tmp_path: Path) -> None:
    images(
        tmp_path, "train/benign/3.jpg", "train/malignant/3.jpg", "test/benign/3.jpg", "test/malignant/4.jpg"
    )
    images(tmp_path, "masks/benign/3.png", "train/benign/masks/3.png")
    records = {record.image_id: record for record in load_dataset(tmp_path).records}
    assert {id: record.label for id, record in records.items()} == {
        "train/benign/3": "benign",
        "train/malignant/3": "malignant",
        "test/benign/3": "benign",
        "4": "malignant",
    }
    assert records["train/benign/3"].mask == tmp_path / "train/benign/masks/3.png"
    assert records["train/malignant/3"].mask is None
    assert records["train/malignant/3"].path == tmp_path / "train/malignant/3.jpg"


def test_one_name_with_two_suffixes(tmp_path: Path) -> None:
    images(tmp_path, "nevus/a.jpg", "nevus/a.png", "melanoma/b.jpg")
    assert labels(tmp_path) == {"nevus/a.jpg": "nevus", "nevus/a.png": "nevus", "b": "melanoma"}


@pytest.mark.parametrize("root", ["", "C:\\data\\", "/volume1/x/set/", "./"])
def test_a_manifest_tells_images_of_one_name_by_their_folder(tmp_path: Path, root: str) -> None:
    images(tmp_path, "P1/DSC_1.JPG", "P2/DSC_1.JPG", "P2/DSC_2.JPG")
    one, two = (root + name for name in ("P1/DSC_1.JPG", "P2/DSC_1.JPG"))
    table(tmp_path / "m.csv", f"file,label\n{one},nv\n{two},mel\nDSC_2,nv\n")
    assert labels(tmp_path) == {"P1/DSC_1": "nv", "P2/DSC_1": "mel", "DSC_2": "nv"}


@pytest.mark.parametrize("layout", ["{side}/_annotations.coco.json", "annotations/instances_{side}2017.json"])
def test_one_coco_a_split(tmp_path: Path, layout: str) -> None:
    folder = "{side}" if layout.startswith("{") else "{side}2017"
    for side in ("train", "valid", "test"):
        images(tmp_path, *(f"{folder.format(side=side)}/{number}.jpg" for number in range(2)))
        content = {
            "images": [{"id": number, "file_name": f"{number}.jpg"} for number in range(2)],
            "annotations": [{"id": n, "image_id": n, "category_id": n} for n in range(2)],
            "categories": [{"id": 0, "name": "melanoma"}, {"id": 1, "name": f"nevus_{side}"}],
        }
        document(tmp_path / layout.format(side=side), content)
    records = load_dataset(tmp_path).records
    assert len(records) == 6
    for record in records:
        side = record.attributes["split"]
        assert record.path.parent.name.startswith(side)
        assert record.label == ("melanoma" if record.path.stem == "0" else f"nevus_{side}")


def test_labelme_in_patients_folders(tmp_path: Path) -> None:
    for patient, name in (("P1", "nevus"), ("P2", "melanoma")):
        images(tmp_path, f"{patient}/DSC_1.JPG")
        content = {"imagePath": "DSC_1.JPG", "shapes": [{"label": name}], "flags": {}}
        document(tmp_path / patient / "DSC_1.json", content)
    assert labels(tmp_path) == {"P1/DSC_1": "nevus", "P2/DSC_1": "melanoma"}


@pytest.mark.parametrize(
    "text",
    [
        "sep=;\nimage;diagnosis;age\na;nv;40,5\nb;mel;85+\n",
        '"sep=;"\r\nimage;diagnosis;age\r\na;nv;40,5\r\nb;mel;85 +\r\n',
        "image;diagnosis;age;;\na;nv;40,5;;\nb;mel;>=85;;\n",
        "image;diagnosis;age\na;nv;40,5;\nb;mel;85 years;;\n",
        'image,diagnosis,age\na,nv,"40,5"\nb,mel,85\n',
        "image\tdiagnosis\tage\na\tnv\t40.5\nb\tmel\t≥85\n",
    ],
)
def test_tables_as_spreadsheets_write_them(tmp_path: Path, text: str) -> None:
    images(tmp_path, "a.jpg", "b.jpg")
    (tmp_path / "m.csv").write_text(text, encoding="utf-8", newline="")
    assert [(r.label, r.age) for r in load_dataset(tmp_path).records] == [("nv", 40.5), ("mel", 85.0)]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig"])
def test_a_table_may_tell_its_encoding(tmp_path: Path, encoding: str) -> None:
    images(tmp_path, "é.jpg", "b.jpg")
    (tmp_path / "m.csv").write_bytes("image\tdiagnosis\né\tnv\nb\tmel\n".encode(encoding))
    assert labels(tmp_path) == {"é": "nv", "b": "mel"}


def test_a_table_of_bad_rows_only_is_refused(tmp_path: Path) -> None:
    images(tmp_path, "a.jpg")
    table(tmp_path / "m.csv", "image,diagnosis\na,nv,x\n")
    with pytest.raises(DatasetError, match="no row can be used: 1 left out, bad entry: 3 cells"):
        load_dataset(tmp_path, skip_bad=True)


def test_decimal_commas_in_one_hot_columns(tmp_path: Path) -> None:
    images(tmp_path, "a.jpg", "b.jpg")
    table(tmp_path / "m.csv", "sep=;\nimage;MEL;NV\na;1,0;0,0\nb;0,0;1,0\n")
    assert labels(tmp_path) == {"a": "MEL", "b": "NV"}


def test_rows_are_numbered_as_in_the_file(tmp_path: Path) -> None:
    images(tmp_path, "a.jpg")
    table(tmp_path / "m.csv", "sep=;\nimage;diagnosis\na;nv;x\n")
    with pytest.raises(DatasetError, match=r"3 cells where the header has 2 \(.*row 3\)"):
        load_dataset(tmp_path)


@pytest.mark.parametrize(
    ("header", "bad"),
    [
        ("image,diagnosis,age", "x,nv,old"),
        ("image,diagnosis,age", "x,nv,1965"),
        ("image,diagnosis,sex", "x,nv,perhaps"),
        ("image,diagnosis,sex", "x,nv"),
        ("image,diagnosis,sex", "x,nv,f,,y"),
        ("image,diagnosis,sex", ",nv,f"),
        ("image,MEL,NV", "x,0,0"),
        ("image,MEL,NV", "x,1,1"),
        ("image,MEL,NV", "x,0.5,0.5"),
        ("image,target,age", "x,0.5,3"),
    ],
)
def test_every_bad_row_is_left_out_and_counted(tmp_path: Path, header: str, bad: str) -> None:
    images(tmp_path, "a.jpg", "b.jpg", "x.jpg")
    good = {"MEL": "1,0|0,1", "tar": "0,40|1,40"}.get(header.split(",")[1][:3], "nv,|mel,").split("|")
    table(tmp_path / "m.csv", f"{header}\na,{good[0]}\n{bad}\nb,{good[1]}\n")
    with pytest.raises(DatasetError, match="row 3"):
        load_dataset(tmp_path)
    dataset = load_dataset(tmp_path, skip_bad=True)
    assert [record.image_id for record in dataset.records] == ["a", "b"]
    assert any(note.startswith("1 left out, bad entry: ") and "row 3" in note for note in dataset.notes)


def test_rows_of_one_image_are_left_out_unless_they_agree(tmp_path: Path) -> None:
    images(tmp_path, "a.jpg", "b.jpg", "c.jpg")
    table(tmp_path / "m.csv", "image,label\na,nv\na,nv\nb,nv\nb,mel\nc,mel\n")
    dataset = load_dataset(tmp_path, skip_bad=True)
    assert [record.image_id for record in dataset.records] == ["a", "c"]
    assert dataset.notes[0].startswith("3 left out, bad entry: image 'a' is labelled twice")


def test_bytes_that_are_no_utf8_are_a_bad_row(tmp_path: Path) -> None:
    images(tmp_path, "a.jpg", "b.jpg")
    (tmp_path / "m.csv").write_bytes(b"image_id,dx\na,n\xe9vus\nb,mel\n")
    dataset = load_dataset(tmp_path, skip_bad=True)
    assert [record.image_id for record in dataset.records] == ["b"]
    assert "not UTF-8 text" in " ".join(dataset.notes)


def test_bad_entries_of_coco_and_labelme_are_left_out(tmp_path: Path) -> None:
    coco, labelme = (
        images(tmp_path / "coco", "a.jpg", "b.jpg"),
        images(tmp_path / "labelme", "a.jpg", "b.jpg"),
    )
    content = {
        "images": [{"id": 1, "file_name": "a.jpg"}, {"id": 2, "file_name": "b.jpg"}, {"id": 3}, "x"],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 1},
            {"id": 2, "image_id": 2, "category_id": 1},
            {"id": 3, "image_id": 2, "category_id": 2},
            {"id": 4, "image_id": 9, "category_id": 2},
            "x",
        ],
        "categories": [{"id": 1, "name": "nevus"}, {"id": 2, "name": "melanoma"}],
    }
    document(coco / "c.json", content)
    document(labelme / "a.json", {"imagePath": "a.jpg", "shapes": [{"label": "nevus"}]})
    document(labelme / "b.json", {"imagePath": "b.jpg", "shapes": [{"label": "x"}, {"label": "y"}]})
    table(labelme / "c.json", "{")
    for folder, bad in ((coco, 5), (labelme, 2)):
        with pytest.raises(DatasetError):
            load_dataset(folder)
        dataset = load_dataset(folder, skip_bad=True)
        assert [(record.image_id, record.label) for record in dataset.records] == [("a", "nevus")]
        assert any(note.startswith(f"{bad} left out, bad entry") for note in dataset.notes)


FORMS = ("NFC", "NFD")


@pytest.mark.parametrize("file", FORMS)
@pytest.mark.parametrize("text", FORMS)
def test_composed_and_decomposed_names_meet(tmp_path: Path, file: str, text: str) -> None:
    def on_disk(name: str) -> str:
        return unicodedata.normalize(file, name)  # type: ignore[arg-type]

    folder = images(tmp_path / "set", on_disk("Ä/é 1.jpg"), on_disk("Ö/é 1.jpg"), on_disk("Ö/ü.jpg"))
    written = "Büd;Klinik;diagnosis\nÄ/é 1.jpg;Zürich;Nävus\nÖ/é 1.jpg;Zürich;mel\nü;Köln;mel\n"
    table(folder / "m.csv", unicodedata.normalize(text, written.replace("Büd", "image")))  # type: ignore[arg-type]
    records = load_dataset(folder).records
    assert {record.image_id: record.label for record in records} == {
        "Ä/é 1": "Nävus",
        "Ö/é 1": "mel",
        "ü": "mel",
    }
    assert {record.attributes["Klinik"] for record in records} == {"Zürich", "Köln"}
    plain = images(tmp_path / "plain", on_disk("Nävus/a.jpg"), unicodedata.normalize(text, "Nävus/b.jpg"))  # type: ignore[arg-type]
    images(plain, "melanoma/c.jpg")
    assert labels(plain) == {"a": "Nävus", "b": "Nävus", "c": "melanoma"}


def test_the_case_of_a_name_counts_only_between_images(tmp_path: Path) -> None:
    images(tmp_path, "IMG_1.JPG", "b.jpg", "B.jpg")
    table(tmp_path / "m.csv", "image,label\nimg_1.jpg,nv\nb,mel\nB,nv\n")
    assert labels(tmp_path) == {"IMG_1": "nv", "b": "mel", "B": "nv"}


def test_labels_that_differ_in_marks_stay_apart(tmp_path: Path) -> None:
    assert normalise("तिल") != normalise("ताल")
    assert normalise("Nävus") == normalise(unicodedata.normalize("NFD", "NÄVUS"))
    images(tmp_path, "तिल/a.jpg", "ताल/b.jpg")
    class_map, _, _ = map_classes(load_dataset(tmp_path).records, "all")
    assert len(class_map.names) == 2


CELLS = st.sampled_from(["nv", "mel", "", "unknown", "40", "85+", "x", "f", "nan", "0", "1", "é", "4,5"])


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(st.tuples(st.sampled_from("abcdz"), CELLS, CELLS, CELLS), min_size=1, max_size=7),
    data=st.data(),
)
def test_the_order_of_rows_does_not_matter(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, ...]], data: st.DataObject
) -> None:
    folder = images(tmp_path_factory.mktemp("set"), "a.jpg", "b.jpg", "c.jpg", "d.jpg")
    results = []
    for order in (rows, data.draw(st.permutations(rows))):
        text = "".join(";".join(row) + "\n" for row in order)
        table(folder / "m.csv", f"image;diagnosis;age;sex\n{text}")
        try:
            dataset = load_dataset(folder, skip_bad=True)
        except DatasetError as error:
            results.append(([], [error.what.split(":")[0]]))
            continue
        counts = sorted(note.split(":")[0] for note in dataset.notes)
        results.append((list(dataset.records), counts))
    assert all(records or counts == ["no labelled image"] for records, counts in results)
    assert results[0] == results[1]
