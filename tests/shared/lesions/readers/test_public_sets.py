"""The public data sets as they are published: their own names of files, folders, columns and diagnoses."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from dermafed.shared.errors import DatasetError
from dermafed.shared.lesions.class_map import map_classes
from dermafed.shared.lesions.readers.columns import ColumnNames
from dermafed.shared.lesions.readers.loading import load_dataset
from dermafed.shared.lesions.readers.rows import Dataset
from tests.shared.lesions.dataset_files import images, table

DERM7PT = """
basal cell carcinoma;blue nevus;clark nevus;combined nevus;congenital nevus;dermal nevus;dermatofibroma
lentigo;melanoma;melanoma (in situ);melanoma (less than 0.76 mm);melanoma (0.76 to 1.5 mm)
melanoma (more than 1.5 mm);melanoma metastasis;melanosis;miscellaneous;recurrent nevus
reed or spitz nevus;seborrheic keratosis;vascular lesion
"""


def labels(dataset: Dataset) -> dict[str, str]:
    return {record.image_id: record.label for record in dataset.records}


def classes(dataset: Dataset, spec: str = "paper") -> Counter[str]:
    return Counter(record.label for record in map_classes(dataset.records, spec)[1])


def test_pad_ufes_20(tmp_path: Path) -> None:
    names = ["NEV", "MEL", "SEK", "ACK", "BCC", "SCC"]
    header = (
        "patient_id,lesion_id,smoke,drink,background_father,background_mother,age,pesticide,gender,"
        "skin_cancer_history,cancer_history,has_piped_water,has_sewage_system,fitspatrick,region,diameter_1,"
        "diameter_2,diagnostic,itch,grew,hurt,changed,bleed,elevation,img_id,biopsed\n"
    )
    text = header
    for number, name in enumerate(names):
        image = f"PAT_{number}_{number}_1.png"
        images(tmp_path, f"imgs_part_{1 + number % 3}/{image}")
        text += (
            f"PAT_{number},{number},,,UNK,,{50 + number},,FEMALE,,,,,,FACE,,,{name},UNK,,,,,True,{image},"
            "True\n"
        )
    table(tmp_path / "metadata.csv", text)
    dataset = load_dataset(tmp_path)
    first = dataset.records[0]
    assert (first.image_id, first.label, first.lesion_id, first.patient_id) == (
        "PAT_0_0_1",
        "NEV",
        "0",
        "PAT_0",
    )
    assert (first.age, first.sex, first.body_site) == (50.0, "female", "FACE")
    assert classes(dataset) == {"nevus": 1, "melanoma": 1, "seborrheic_keratosis": 1}
    assert sorted(classes(dataset, "all")) == [
        "actinic_keratosis",
        "basal_cell_carcinoma",
        "melanoma",
        "nevus",
        "seborrheic_keratosis",
        "squamous_cell_carcinoma",
    ]


def test_bcn20000(tmp_path: Path) -> None:
    images(tmp_path, "BCN_20k_train/bcn_1.jpg", "BCN_20k_train/bcn_2.jpg")
    table(
        tmp_path / "bcn_20k_train.csv",
        "bcn_filename,age_approx,anatom_site_general,diagnosis,lesion_id,capture_date,sex,split\n"
        "bcn_1.jpg,55.0,anterior torso,MEL,BCN_1,2012-05-16,male,train\n"
        "bcn_2.jpg,,,NV,BCN_2,2012-05-16,,train\n",
    )
    dataset = load_dataset(tmp_path)
    assert labels(dataset) == {"bcn_1": "MEL", "bcn_2": "NV"}
    assert (dataset.records[0].age, dataset.records[0].body_site) == (55.0, "anterior torso")


@pytest.mark.parametrize("name", ["HAM10000_metadata.tab", "HAM10000_metadata", "HAM10000_metadata.tsv"])
def test_ham10000_of_dataverse(tmp_path: Path, name: str) -> None:
    images(tmp_path, "HAM10000_images_part_1/ISIC_1.jpg", "HAM10000_images_part_2/ISIC_2.jpg")
    text = "lesion_id\timage_id\tdx\tdx_type\tage\tsex\tlocalization\tdataset\n"
    text += '"HAM_1"\t"ISIC_1"\t"bkl"\t"histo"\t80.0\t"male"\t"scalp"\t"vidir_modern"\n'
    text += '"HAM_2"\t"ISIC_2"\t"nv"\t"consensus"\t\t"unknown"\t"unknown"\t"rosendahl"\n'
    if name == "HAM10000_metadata":  # the original format
        text = text.replace("\t", ",")
    path = table(tmp_path / name, text)
    for source in (tmp_path, path):
        one, two = load_dataset(source).records
        assert (one.label, one.lesion_id, one.age, one.sex) == ("bkl", "HAM_1", 80.0, "male")
        assert (two.label, two.age, two.sex, two.body_site) == ("nv", None, None, None)


def test_all_files_of_dataverse(tmp_path: Path) -> None:
    folder = tmp_path / "dataverse_files"
    images(folder, "HAM10000_images_part_1/ISIC_1.jpg", "HAM10000_images_part_2/ISIC_2.jpg")
    images(folder, "ISIC2018_Task3_Test_Images/ISIC_3.jpg")
    header = "lesion_id\timage_id\tdx\n"
    train = table(folder / "HAM10000_metadata.tab", f'{header}"H1"\t"ISIC_1"\t"nv"\n"H2"\t"ISIC_2"\t"mel"\n')
    table(folder / "ISIC2018_Task3_Test_GroundTruth.tab", f'{header}"H3"\t"ISIC_3"\t"nv"\n')
    table(
        folder / "ISIC2018_Task3_Test_NatureMedicine_AI_Interaction_Benefit.tab",
        'image_id\tinteraction_modality\n"ISIC_3"\t"a"\n"ISIC_3"\t"b"\n',
    )
    with pytest.raises(DatasetError, match=r"several manifests: HAM10000_metadata\.tab, ISIC2018"):
        load_dataset(tmp_path)
    dataset = load_dataset(train)
    assert labels(dataset) == {"ISIC_1": "nv", "ISIC_2": "mel"}
    assert any(
        "Benefit.tab was not joined: it has several rows of an image" in note for note in dataset.notes
    )
    assert "1 left out, image not named: ISIC_3" in dataset.notes


def test_kaggle_has_the_images_of_ham10000_twice(tmp_path: Path) -> None:
    for name in ("HAM10000_images_part_1", "ham10000_images_part_1"):
        table(tmp_path / name / "ISIC_1.jpg", "1")
        table(tmp_path / name / "ISIC_2.jpg", "2")
    table(tmp_path / "HAM10000_metadata.csv", "lesion_id,image_id,dx\nH1,ISIC_1,nv\nH2,ISIC_2,mel\n")
    table(tmp_path / "hmnist_8_8_L.csv", "pixel0000,label\n1,2\n")
    dataset = load_dataset(tmp_path)
    assert list(labels(dataset).values()) == ["nv", "mel"]
    assert any(note.startswith("2 left out, copy of an image of the same name") for note in dataset.notes)
    table(tmp_path / "ham10000_images_part_1" / "ISIC_2.jpg", "3")
    with pytest.raises(DatasetError, match="two images are named 'ISIC_2'"):
        load_dataset(tmp_path)


def test_rows_that_contradict_each_other_are_refused_where_they_are_used(tmp_path: Path) -> None:
    images(tmp_path, "a.jpg", "b.jpg")
    table(tmp_path / "m.csv", "image,diagnosis\na,nv\nb,mel\n")
    table(tmp_path / "lesions.csv", "image,lesion_id\na,1\na,2\n")
    with pytest.raises(DatasetError, match="image 'a' occurs twice"):
        load_dataset(tmp_path)


@pytest.mark.parametrize(
    "folders",
    [
        ("HAM10000_images_part_1", "HAM10000_images_part_2"),
        ("imgs_part_1", "imgs_part_2"),
        ("train_images", "test_images"),
        ("ISIC-2017_Training_Data", "ISIC-2017_Test_v2_Data"),
    ],
)
def test_parts_of_one_set_are_no_classes(tmp_path: Path, folders: tuple[str, str]) -> None:
    images(tmp_path, *(f"{folder}/{folder}_a.jpg" for folder in folders))
    with pytest.raises(DatasetError, match=r"folders of images \(.*, .*\) but no labels"):
        load_dataset(tmp_path)


@pytest.mark.parametrize("folders", [("grade 1", "grade 2"), ("1", "2"), ("part", "nevus"), ("test", "x")])
def test_other_folders_are_classes(tmp_path: Path, folders: tuple[str, str]) -> None:
    images(tmp_path, *(f"{folder}/{number}.jpg" for number, folder in enumerate(folders)))
    assert set(labels(load_dataset(tmp_path)).values()) == set(folders)


def test_isic_2018_lays_its_truth_in_a_folder(tmp_path: Path) -> None:
    images(tmp_path, "ISIC2018_Task3_Training_Input/ISIC_1.jpg", "ISIC2018_Task3_Training_Input/ISIC_2.jpg")
    folder = tmp_path / "ISIC2018_Task3_Training_GroundTruth"
    path = table(
        folder / "ISIC2018_Task3_Training_GroundTruth.csv",
        "image,MEL,NV,BCC,AKIEC,BKL,DF,VASC\nISIC_1,0.0,1.0,0,0,0,0,0\nISIC_2,1.0,0,0,0,0,0,0\n",
    )
    assert labels(load_dataset(tmp_path)) == labels(load_dataset(path)) == {"ISIC_1": "NV", "ISIC_2": "MEL"}


def test_isic_2019_with_its_test_columns(tmp_path: Path) -> None:
    images(tmp_path, "ISIC_1.jpg", "ISIC_2_downsampled.jpg")
    table(
        tmp_path / "truth.csv",
        "image,MEL,NV,BCC,AK,BKL,DF,VASC,SCC,UNK,score_weight,validation_weight\n"
        "ISIC_1,0,0,0,0,0,0,0,0,1.0,1,0\nISIC_2_downsampled,0,0,0,0,0,0,0,1.0,0,1,0\n",
    )
    assert labels(load_dataset(tmp_path)) == {"ISIC_1": "UNK", "ISIC_2_downsampled": "SCC"}


def test_of_several_manifests_not_that_of_a_test_is_proposed(tmp_path: Path) -> None:
    images(tmp_path, "ISIC_1.jpg", "ISIC_2.jpg")
    for side in ("Test", "Training"):
        table(tmp_path / f"ISIC_2019_{side}_GroundTruth.csv", "image,MEL,NV\nISIC_1,1,0\nISIC_2,0,1\n")
    with pytest.raises(DatasetError, match=r"Choose one, such as .*ISIC_2019_Training_GroundTruth\.csv"):
        load_dataset(tmp_path)


def test_isic_2020_knows_of_most_only_that_they_are_benign(tmp_path: Path) -> None:
    images(tmp_path, *(f"train/ISIC_{number}.jpg" for number in range(4)))
    text = (
        "image_name,patient_id,sex,age_approx,anatom_site_general_challenge,diagnosis,benign_malignant,"
        "target\n"
    )
    for number, (name, kind) in enumerate(
        [("unknown", "benign"), ("unknown", "benign"), ("melanoma", "malignant"), ("nevus", "benign")]
    ):
        text += f"ISIC_{number},IP_{number},male,45.0,torso,{name},{kind},{int(kind == 'malignant')}\n"
    table(tmp_path / "ISIC_2020_Training_GroundTruth.csv", text)
    table(tmp_path / "sample_submission.csv", "image_name,target\nISIC_9,0.3\n")
    dataset = load_dataset(tmp_path)
    assert list(labels(dataset).values()) == ["benign", "benign", "melanoma", "nevus"]
    assert classes(dataset) == {"melanoma": 1, "nevus": 1}
    note = "2 of 4 images have no diagnosis: their label is that of benign_malignant"
    assert note in dataset.notes
    for column in ("benign_malignant", "target"):
        by_name = load_dataset(tmp_path, columns=ColumnNames(label=column))
        assert list(labels(by_name).values()) == ["benign", "benign", "malignant", "benign"]


def test_images_that_only_the_table_of_a_test_names_need_no_label(tmp_path: Path) -> None:
    images(tmp_path, "jpeg/train/ISIC_1.jpg", "jpeg/train/ISIC_2.jpg", "jpeg/test/ISIC_3.jpg")
    table(tmp_path / "train.csv", "image_name,diagnosis\nISIC_1,nevus\nISIC_2,melanoma\n")
    path = table(tmp_path / "test.csv", "image_name,sex\nISIC_3,male\n")
    dataset = load_dataset(tmp_path)
    assert labels(dataset) == {"ISIC_1": "nevus", "ISIC_2": "melanoma"}
    assert "1 left out, images without label of test.csv" in dataset.notes
    path.rename(tmp_path / "metadata.csv")
    with pytest.raises(DatasetError, match="image without label: 1 of them: ISIC_3"):
        load_dataset(tmp_path)


def test_isic_2024_of_kaggle(tmp_path: Path) -> None:
    images(tmp_path, *(f"train-image/image/ISIC_{number}.jpg" for number in range(3)))
    table(
        tmp_path / "train-metadata.csv",
        "isic_id,target,patient_id,age_approx,sex,lesion_id,iddx_full,iddx_1,iddx_2,iddx_3,iddx_4,iddx_5\n"
        "ISIC_0,0,IP_1,60.0,male,,Benign,Benign,,,,\n"
        "ISIC_1,1,IP_1,60.0,male,IL_1,x,Malignant,Malignant melanocytic proliferations (Melanoma),"
        'Melanoma in situ,"Melanoma in situ, Superficial spreading",\n'
        "ISIC_2,0,IP_2,,,IL_2,x,Benign,Benign melanocytic proliferations,Nevus,,\n",
    )
    dataset = load_dataset(tmp_path)
    assert list(labels(dataset).values()) == ["Benign", "Melanoma in situ", "Nevus"]
    assert dataset.records[0].patient_id == dataset.records[1].patient_id == "IP_1"
    assert classes(dataset) == {"melanoma": 1, "nevus": 1}
    binary = load_dataset(tmp_path, columns=ColumnNames(label="target"))
    assert list(labels(binary).values()) == ["benign", "malignant", "benign"]


def test_isic_2024_of_the_archive(tmp_path: Path) -> None:
    folder = "ISIC_2024_Training_Input"
    images(tmp_path, f"{folder}/ISIC_0.jpg", f"{folder}/ISIC_1.jpg")
    table(tmp_path / folder / "metadata.csv", "isic_id,age_approx,patient_id\nISIC_0,85,IP_1\nISIC_1,,IP_1\n")
    truth = table(
        tmp_path / "ISIC_2024_Training_GroundTruth.csv", "isic_id,malignant\nISIC_0,0.0\nISIC_1,1.0\n"
    )
    assert list(labels(load_dataset(tmp_path)).values()) == ["benign", "malignant"]
    table(
        tmp_path / "Supplement.csv",
        "isic_id,iddx_1,iddx_2,iddx_3\nISIC_0,Benign,,\nISIC_1,Malignant,,Melanoma NOS\n",
    )
    dataset = load_dataset(tmp_path)
    assert list(labels(dataset).values()) == ["Benign", "Melanoma NOS"]
    assert (dataset.records[0].age, dataset.records[1].patient_id) == (85.0, "IP_1")
    assert list(labels(load_dataset(truth)).values()) == ["benign", "malignant"]


@pytest.mark.parametrize("archive", ["", "release_v0"])
def test_derm7pt(tmp_path: Path, archive: str) -> None:
    above, tmp_path = tmp_path, tmp_path / archive
    images(tmp_path, *(f"images/NEL/Nel0{number}.jpg" for number in range(26, 32)))
    path = table(
        tmp_path / "meta" / "meta.csv",
        "case_num,diagnosis,seven_point_score,location,sex,management,clinic,derm,case_id,notes\n"
        "1,basal cell carcinoma,0,abdomen,female,excision,NEL/Nel027.jpg,NEL/Nel026.jpg,,\n"
        "2,reed or spitz nevus,1,back,male,none,NEL/Nel029.jpg,NEL/Nel028.jpg,,\n"
        "3,melanoma (less than 0.76 mm),4,back,male,excision,NEL/Nel031.jpg,nel/NEL030.JPG,,\n",
    )
    for name in ("train", "valid", "test"):
        table(tmp_path / "meta" / f"{name}_indexes.csv", "indexes\n0\n")
    for source in (above, tmp_path, path):
        dataset = load_dataset(source)
        assert [record.image_id for record in dataset.records] == ["Nel026", "Nel028", "Nel030"]
        assert "3 left out, images of the column clinic" in dataset.notes
        assert dataset.records[0].body_site == "abdomen"
        assert classes(dataset) == {"nevus": 1, "melanoma": 1}


def test_every_diagnosis_of_derm7pt_is_known(tmp_path: Path) -> None:
    names = DERM7PT.replace("\n", ";").strip(";").split(";")
    images(tmp_path, *(f"{number}.jpg" for number in range(len(names))))
    rows = "".join(f"{number}.jpg,{name}\n" for number, name in enumerate(names))
    table(tmp_path / "meta.csv", f"derm,diagnosis\n{rows}")
    assert classes(load_dataset(tmp_path)) == {"nevus": 7, "melanoma": 5, "seborrheic_keratosis": 1}


def test_columns_that_are_named(tmp_path: Path) -> None:
    images(tmp_path, "a.jpg", "b.jpg")
    path = table(tmp_path / "m.csv", "Datei,Befund,diagnosis\na,nv,x\nb.jpg,mel,y\n")
    for source in (tmp_path, path):
        dataset = load_dataset(source, columns=ColumnNames("datei", "Befund"))
        assert labels(dataset) == {"a": "nv", "b": "mel"}
    with pytest.raises(DatasetError, match=r"no column 'Bild' among Datei, Befund, diagnosis"):
        load_dataset(tmp_path, columns=ColumnNames(image="Bild"))
    path.unlink()
    with pytest.raises(DatasetError, match="no table whose columns could be named"):
        load_dataset(tmp_path, columns=ColumnNames("Datei", "Befund"))
