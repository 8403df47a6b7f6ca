"""Label files beside images; the first byte says which, how it is read, and if changes of one follow."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from dermafed.shared.lesions.readers.columns import ColumnNames
from dermafed.shared.lesions.readers.labelme import labelme_to_coco
from dermafed.shared.lesions.readers.loading import load_dataset
from tests.fuzzing.documents import edited
from tests.fuzzing.target import outcome
from tests.shared.lesions.dataset_files import images
from tests.shared.lesions.readers.test_fuzz import COCO, CSV, LABELME

FILES = ("m.csv", "m.tab", "coco.json", "a.json", "m.txt")
DOCUMENTS = {"coco.json": COCO, "a.json": LABELME}
_COLUMNS = (None, ColumnNames(label="clinic"))
_folder = tempfile.TemporaryDirectory(prefix="fuzz-")
FOLDERS = tuple(images(Path(_folder.name) / name, "a.jpg", "x/a.jpg", "x/b.jpg") for name in FILES)
_PUBLISHED = """lesion_id,image_id,dx,dx_type,age,sex,localization
HAM_1,a,nv,histo,80.0,male,scalp
HAM_2,b,mel,histo,85+,unknown,
"""


def read(data: bytes) -> str:
    how = data[0] if data else 0
    name, folder = FILES[how % len(FILES)], FOLDERS[how % len(FILES)]
    content = data[1:]
    if name in DOCUMENTS and how >= 128:
        content = json.dumps(edited(DOCUMENTS[name], content)).encode()
    (folder / name).write_bytes(content)
    skip, columns = bool(how // len(FILES) % 2), _COLUMNS[how // len(FILES) // 2 % 2]
    records = load_dataset(folder, skip_bad=skip, columns=columns).records
    assert records
    assert all(record.path.is_file() and record.label for record in records)
    if name == "a.json":
        converted = Path(_folder.name) / "converted.json"
        labelme_to_coco(folder, converted)
        json.loads(converted.read_text("utf-8"))
    return "received"


def take(data: bytes) -> str:
    return outcome(read, data)


def seeds() -> list[bytes]:
    coco, labelme = json.dumps(COCO).encode(), json.dumps(LABELME).encode()
    tables = [CSV.encode(), _PUBLISHED.encode(), _PUBLISHED.replace(",", "\t").encode()]
    contents = [tables[0], tables[2], coco, labelme, tables[0]]
    kinds = range(len(FILES))
    texts = [*(bytes([kind]) + contents[kind] for kind in kinds), b"\0" + tables[1], b"\5" + tables[1]]
    return [*texts, bytes([132]), bytes([133])]  # 128 and more: changes of one of the documents
