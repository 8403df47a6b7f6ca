"""JSON label files: reading them, and telling COCO from LabelMe."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from dermafed.shared.errors import DatasetError


def documents_of(folder: Path) -> list[Path]:
    """List the JSON files anywhere below a folder."""
    return sorted(path for path in folder.rglob("*.[jJ][sS][oO][nN]") if not path.name.startswith("."))


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
    except (UnicodeDecodeError, RecursionError) as error:
        raise DatasetError("not JSON in UTF-8", where=path, remedy="Export the file again") from error
    except OSError as error:
        raise DatasetError(
            f"cannot be read: {error.strerror}", where=path, remedy="Check the file"
        ) from error


def kind_of(document: Any) -> Literal["COCO", "LabelMe"] | None:
    """Tell the format of a JSON document, or ``None`` if it is neither."""
    if not isinstance(document, dict):
        return None
    if all(isinstance(document.get(part), list) for part in ("images", "annotations", "categories")):
        return "COCO"
    return "LabelMe" if isinstance(document.get("shapes"), list) and "imagePath" in document else None
