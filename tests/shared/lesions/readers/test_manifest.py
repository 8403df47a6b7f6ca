from __future__ import annotations

from pathlib import Path

import pytest

from dermafed.shared.errors import DatasetError
from dermafed.shared.lesions.readers.loading import load_dataset
from tests.shared.lesions.dataset_files import images, table


def labels(folder: Path) -> dict[str, str]:
    return {record.image_id: record.label for record in load_dataset(folder).records}


def test_reads_every_field_of_our_own_columns(tmp_path: Path) -> None:
    images(tmp_path, "images/a.JPG", "images/b.png", "masks/a.png", "masks/b_segmentation.png")
    table(
        tmp_path / "metadata.csv",
        "image_id,lesion_id,patient_id,diagnosis,age,sex,site,clinic\n"
        "b,,,nv,unknown,unknown,,east\na,L1,P1,mel,45.0,male,back,west\n",
    )
    a, b = load_dataset(tmp_path).records
    assert (a.image_id, a.label, a.lesion_id, a.patient_id) == ("a", "mel", "L1", "P1")
    assert (a.age, a.sex, a.body_site, a.attributes["clinic"]) == (45.0, "male", "back", "west")
    assert a.path == tmp_path / "images/a.JPG"
    assert a.mask == tmp_path / "masks/a.png"
    assert b.mask == tmp_path / "masks/b_segmentation.png"
    assert (b.lesion_id, b.patient_id, b.age, b.sex, b.body_site) == (None,) * 5


def test_reads_ham10000s_own_file_and_folders(tmp_path: Path) -> None:
    images(tmp_path, "HAM10000_images_part_1/ISIC_1.jpg", "HAM10000_images_part_2/ISIC_2.jpg")
    images(tmp_path, "HAM10000_segmentations/ISIC_1_segmentation.png")
    table(
        tmp_path / "HAM10000_metadata.csv",
        "lesion_id,image_id,dx,dx_type,age,sex,localization,dataset\n"
        "HAM_1,ISIC_1,bkl,histo,80.0,male,scalp,vidir_modern\nHAM_1,ISIC_2,bkl,histo,,female,unknown,rosendahl\n",
    )
    table(
        tmp_path / "hmnist_8_8_L.csv", "pixel0000,label\n169,2\n"
    )  # Kaggle's copy has pixel tables beside it
    one, two = load_dataset(tmp_path).records
    assert (one.label, one.lesion_id, one.age, one.body_site) == ("bkl", "HAM_1", 80.0, "scalp")
    assert one.mask is not None
    assert (two.age, two.sex, two.body_site) == (None, "female", None)


def test_reads_the_isic_archives_tree_of_diagnoses(tmp_path: Path) -> None:
    images(tmp_path, "ISIC_1.jpg", "ISIC_2.jpg", "ISIC_3.jpg")
    table(
        tmp_path / "metadata.csv",
        "isic_id,attribution,age_approx,anatom_site_general,diagnosis_1,diagnosis_2,diagnosis_3,lesion_id,"
        "patient_id,sex\n"
        'ISIC_1,"Clinic, Vienna",55,head/neck,Malignant,Malignant melanocytic proliferations,"Melanoma, NOS",'
        "IL_1,IP_1,female\n"
        "ISIC_2,x,,,Benign,Benign melanocytic proliferations,Nevus,,IP_1,male\n"
        "ISIC_3,x,,,Indeterminate,,,,,\n",
    )
    one, two, three = load_dataset(tmp_path).records
    assert [one.label, two.label, three.label] == ["Melanoma, NOS", "Nevus", "Indeterminate"]
    assert (one.patient_id, one.lesion_id, one.age, one.body_site) == ("IP_1", "IL_1", 55.0, "head/neck")
    assert (two.patient_id, two.lesion_id) == ("IP_1", None)


def test_reads_one_hot_labels_and_joins_the_metadata_beside_them(tmp_path: Path) -> None:
    images(tmp_path, "input/ISIC_1.jpg", "input/ISIC_2.jpg")
    table(
        tmp_path / "ISIC_2019_Training_GroundTruth.csv",
        "image,MEL,NV,BCC,AK,BKL,DF,VASC,SCC,UNK\nISIC_1,0.0,1.0,0,0,0,0,0,0,0\nISIC_2,0,0,0,1.0,0,0,0,0,0\n",
    )
    table(
        tmp_path / "ISIC_2019_Training_Metadata.csv",
        "image,age_approx,anatom_site_general,lesion_id,sex\nISIC_2,30,head/neck,MSK_1,male\n",
    )
    dataset = load_dataset(tmp_path)
    one, two = dataset.records
    assert [one.label, two.label] == ["NV", "AK"]
    assert (two.lesion_id, two.age, one.lesion_id) == ("MSK_1", 30.0, None)
    assert dataset.notes == ("ISIC_2019_Training_Metadata.csv was joined by image",)


def test_isic_2017_rows_without_a_one_are_nevi(tmp_path: Path) -> None:
    images(tmp_path, "a.jpg", "b.jpg", "c.jpg", "c_superpixels.png")
    table(tmp_path / "gt.csv", "image_id,melanoma,seborrheic_keratosis\na,1.0,0.0\nb,0.0,1.0\nc,0.0,0.0\n")
    assert labels(tmp_path) == {"a": "melanoma", "b": "seborrheic_keratosis", "c": "nevus"}


@pytest.mark.parametrize("row", ["x,1,1,0", "x,0,0,0", "x,0.5,0.5,0"])
def test_refuses_an_ambiguous_one_hot_row(tmp_path: Path, row: str) -> None:
    images(tmp_path, "x.jpg")
    table(tmp_path / "gt.csv", f"image,MEL,NV,BKL\n{row}\n")
    with pytest.raises(DatasetError, match=r"gt\.csv, row 2"):
        load_dataset(tmp_path)


def test_semicolons_byte_order_mark_suffixes_and_paths(tmp_path: Path) -> None:
    images(tmp_path, "x/NA.jpg", "x/é b.v2.png")
    text = "\ufeffImage;Diagnosis;Age\nx\\NA.jpg;nevus;\nx/é b.v2.png;melanoma;41\n"
    table(tmp_path / "m.csv", text)
    assert labels(tmp_path) == {"NA": "nevus", "é b.v2": "melanoma"}


def test_a_manifest_given_by_name_leaves_the_others_images_alone(tmp_path: Path) -> None:
    images(tmp_path, "images/a.jpg", "images/b.jpg", "images/c.jpg")
    train = table(tmp_path / "train.csv", "image,label\na,nevus\nb,melanoma\n")
    table(tmp_path / "test.csv", "image,label\nc,nevus\n")
    assert [record.image_id for record in load_dataset(train).records] == ["a", "b"]
    with pytest.raises(DatasetError, match=r"several manifests: test\.csv, train\.csv.*Choose one"):
        load_dataset(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        ("image_id,diagnosis\n", "a header but no rows"),
        ("image_id,diagnose\na,nevus\n", r"no label column among image_id, diagnose \(.*row 1\)"),
        ("picture,diagnosis\na,nevus\n", "no image column among picture, diagnosis"),
        ("image_id,image_id,dx\na,a,nv\n", r"column 'image_id' occurs twice \(.*row 1\)"),
        ("image_id,dx\na,nv\nb,mel\na,nv\n", r"'a' is labelled twice \(.*row 2 and .*row 4\)"),
        ("image_id,dx\na,nv\nb,mel,x\n", r"3 cells where the header has 2 \(.*row 3\)"),
        ("image_id,dx\na,nv\n,mel\n", r"no image \(.*row 3, column image_id\)"),
        ("image_id,dx,age\na,nv,121\nb,mel,3\n", r"age of a is '121' \(.*row 2, column age\)"),
        ("image_id,dx,age\na,nv,3\nb,mel,-1\n", r"age of b is '-1' \(.*row 3, column age\)"),
        ("image_id,dx,age\na,nv,old\nb,mel,3\n", "age of a is 'old'"),
        ("image_id,dx,sex\na,nv,q\nb,mel,f\n", r"sex of a is 'q' \(.*row 2, column sex\)"),
        ('image_id,dx\na,"nv\nb,mel\n', "not a CSV file"),
        ("image_id,dx\na,nv\nb,\n", r"image without label: 1 of them: b \(.*row 3\)"),
        ("image_id,dx\na,nv\n", "image without label: 1 of them: b"),
        (
            "image_id,dx\na,nv\nb,nv\nc,nv\nd,nv\ne,nv\nf,mel\n",
            r"label without image: 4 of them: c .*row 4.*\.\.\.",
        ),
    ],
)
def test_refuses_a_bad_manifest_by_row_and_remedy(tmp_path: Path, text: str, message: str) -> None:
    images(tmp_path, "a.jpg", "b.jpg")
    table(tmp_path / "metadata.csv", text)
    with pytest.raises(DatasetError, match=message) as caught:
        load_dataset(tmp_path)
    assert caught.value.remedy
    assert "metadata.csv" in str(caught.value) or str(tmp_path) in str(caught.value)


def test_skips_bad_entries_by_choice_and_notes_how_many(tmp_path: Path) -> None:
    images(tmp_path, "a.jpg", "b.jpg", "c.jpg", "d.jpg")
    table(tmp_path / "m.csv", "image_id,dx\na,nv\nb,mel\nc,unknown\ne,nv\n")
    dataset = load_dataset(tmp_path, skip_bad=True)
    assert [record.image_id for record in dataset.records] == ["a", "b"]
    assert dataset.notes[0].startswith("1 left out, label without image: e")
    assert dataset.notes[1].startswith("2 left out, image without label: d, c")


def test_refuses_bytes_that_are_not_utf8(tmp_path: Path) -> None:
    images(tmp_path, "a.jpg")
    (tmp_path / "m.csv").write_bytes(b"image_id,dx\na,n\xe9vus\n")
    with pytest.raises(DatasetError, match=r"byte 15 is not UTF-8 text \(.*m\.csv\)"):
        load_dataset(tmp_path)


def test_refuses_one_name_in_two_places(tmp_path: Path) -> None:
    images(tmp_path, "one/a.jpg", "two/a.jpg")
    table(tmp_path / "m.csv", "image_id,dx\na,nv\n")
    with pytest.raises(DatasetError, match=r"two images are named 'a': .*one.a\.jpg and .*two.a\.jpg"):
        load_dataset(tmp_path)
