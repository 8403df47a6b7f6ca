"""The files of an audit."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from dermafed.client.evaluation.audit_model import Audit
from dermafed.client.evaluation.audit_sheet import examples, sheet_png
from dermafed.shared.errors import DermaFedError
from dermafed.shared.storage.atomic_files import make_folder, write_atomically, write_json

AUDIT_FILE, SHEET_FILE = "audit.json", "audit.png"


def write_audit(folder: Path, audit: Audit) -> dict[str, Any]:
    """Write the measures and the contact sheet, or nothing, into a new or empty folder.

    Returns:
        The content of ``audit.json``.

    Raises:
        DermaFedError: an image can no longer be read, or a file cannot be written.
    """
    sheet = sheet_png(examples(audit.predictions, audit.card.model.classes))
    summary = {**audit.to_dict(), "sheet": str((folder / SHEET_FILE).resolve())}
    make_folder(folder)
    try:
        write_atomically(folder / SHEET_FILE, sheet)
        write_json(folder / AUDIT_FILE, summary)
    except DermaFedError:
        shutil.rmtree(folder)
        raise
    return summary
