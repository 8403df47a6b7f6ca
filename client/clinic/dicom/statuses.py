"""What went wrong, as DICOM's status and failure codes (PS3.4, B.2.3; PS3.18, table I.2-2)."""

from __future__ import annotations

from dermafed.client.clinic.intake.refused import Refused
from dermafed.shared.errors import StorageError

SUCCESS = 0x0000
PROCESSING_FAILURE = 0x0110
SOP_CLASS_NOT_SUPPORTED = 0x0122
NOT_AUTHORISED = 0x0124
OUT_OF_RESOURCES = 0xA700
OTHER_THAN_ANNOUNCED = 0xA900
CANNOT_UNDERSTAND = 0xC000
QUARANTINED = 0xC001
REUSED = 0xC002
SYNTAX_NOT_SUPPORTED = 0xC122

_BY_CODE = {
    "sop-class": SOP_CLASS_NOT_SUPPORTED,
    "transfer-syntax": SYNTAX_NOT_SUPPORTED,
    "uid-mismatch": OTHER_THAN_ANNOUNCED,
    "burned-in": QUARANTINED,
    "request-reused": REUSED,
}
_BY_STATUS = {
    401: NOT_AUTHORISED,
    403: NOT_AUTHORISED,
    413: OUT_OF_RESOURCES,
    429: OUT_OF_RESOURCES,
    503: OUT_OF_RESOURCES,
}


def failure_of(error: Exception) -> int:
    """The code of an exception."""
    if isinstance(error, Refused):
        return _BY_CODE.get(error.code) or _BY_STATUS.get(error.status, CANNOT_UNDERSTAND)
    return OUT_OF_RESOURCES if isinstance(error, StorageError) else PROCESSING_FAILURE


def comment_of(error: Exception) -> str:
    """What to tell the sender of it; nothing that was in the object."""
    return (error.what if isinstance(error, Refused | StorageError) else "The node failed")[:64]
