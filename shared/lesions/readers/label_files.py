"""Read JSON documents; every error names line and column."""

from __future__ import annotations

import json
import posixpath
from pathlib import Path
from typing import Any, Literal

from dermafed.shared.errors import DatasetError
from dermafed.shared.lesions.readers.walking import walk_files

Kind = Literal["COCO", "LabelMe"]


def find_documents(folder: Path) -> list[Path]:
    """List the JSON files anywhere below a folder, as `walk_files` does."""
    return sorted(path for path in walk_files(folder) if path.suffix.lower() == ".json")


def read_document(path: Path) -> Any:
    """Read a JSON file in UTF-8.

    Raises:
        DatasetError: the file cannot be read, or is not JSON; line and column are named.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except json.JSONDecodeError as error:
        place = f"{path}, line {error.lineno}, column {error.colno}"
        raise DatasetError(f"not JSON: {error.msg}", where=place, remedy="Export the file again") from error
    except (ValueError, RecursionError) as error:  # also numbers of thousands of digits
        raise DatasetError("not JSON in UTF-8", where=path, remedy="Export the file again") from error
    except OSError as error:
        raise DatasetError(
            f"cannot be read: {error.strerror}", where=path, remedy="Check the file"
        ) from error


def document_kind(document: Any) -> Kind | None:
    """Return the format of a JSON document, or ``None`` if it is neither."""
    if not isinstance(document, dict):
        return None
    if all(isinstance(document.get(part), list) for part in ("images", "annotations", "categories")):
        return "COCO"
    return "LabelMe" if isinstance(document.get("shapes"), list) and "imagePath" in document else None


def holds_coco(folder: Path) -> bool:
    """Whether a COCO document is below a folder; ``fl-client convert`` may have left it beside LabelMe's.

    Raises:
        DatasetError: a file is not JSON, and none is of a known format.
    """
    damage: DatasetError | None = None
    known = False
    for path in find_documents(folder):
        try:
            kind = document_kind(read_document(path))
        except DatasetError as error:
            damage = damage or error
            continue
        if kind == "COCO":
            return True
        known = known or kind is not None
    if damage is not None and not known:
        raise damage
    return False


def holds_labelme(folder: Path) -> bool:
    """Whether a LabelMe document is below a folder."""
    for path in find_documents(folder):
        try:
            if document_kind(read_document(path)) == "LabelMe":
                return True
        except DatasetError:
            continue
    return False


def path_beside(document: Path, name: str, root: Path) -> str:
    """The path below a folder of an image that a document names from where it lies, with slashes.

    A path out of the folder, such as of another computer, stays as it is.
    """
    relative = name.strip().replace("\\", "/")
    inside = posixpath.join(document.parent.relative_to(root).as_posix(), relative)
    normal = posixpath.normpath(inside)
    return relative if normal.startswith(("../", "/")) else normal
