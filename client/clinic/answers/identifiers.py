"""Identifiers of what an answer consists of: made from the diagnosis, so that asking again gives the same."""

from __future__ import annotations

import uuid


def uuid_of(diagnosis_id: str, part: str) -> uuid.UUID:
    """A part's UUID.

    Args:
        diagnosis_id: 32 hexadecimal digits.
        part: its name within the answer.
    """
    return uuid.uuid5(uuid.UUID(hex=diagnosis_id), part)


def uid_of(diagnosis_id: str, part: str) -> str:
    """A part's DICOM UID, derived from its UUID (PS3.5, annex B.2)."""
    return f"2.25.{uuid_of(diagnosis_id, part).int}"
