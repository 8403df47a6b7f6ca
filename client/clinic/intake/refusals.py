"""The refusals of every way in: one table from an error to its code, its HTTP status and its DICOM status."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

from dermafed.shared.errors import InputError, StorageError

BURNED_IN = "burned-in"
"""The code of what waits in quarantine for a person: it may show a name."""

# DICOM statuses of C-STORE, and failure reasons of STOW-RS (PS3.4, B.2.3; PS3.18, table I.2-2).
SUCCESS = 0x0000
PROCESSING_FAILURE = 0x0110
SOP_CLASS_NOT_SUPPORTED = 0x0122
NOT_AUTHORISED = 0x0124
OUT_OF_RESOURCES = 0xA700
NOT_AS_ANNOUNCED = 0xA900
CANNOT_UNDERSTAND = 0xC000
QUARANTINED = 0xC001
REQUEST_REUSED = 0xC002
SYNTAX_NOT_SUPPORTED = 0xC122


class _Statuses(NamedTuple):
    http: int  # MQTT answers it too, as the user property "status"
    dicom: int = CANNOT_UNDERSTAND  # of C-STORE; the failure reason of STOW-RS


_STATUSES = {
    # an image
    "empty": _Statuses(400),
    "unsupported-type": _Statuses(415),
    "too-large": _Statuses(413, OUT_OF_RESOURCES),
    "damaged": _Statuses(422),
    "too-many-parts": _Statuses(422),
    "too-many-pixels": _Statuses(422),
    "too-small": _Statuses(422),
    "blank": _Statuses(422),
    "colour-mode": _Statuses(422),
    "several-frames": _Statuses(422),
    # a DICOM object
    BURNED_IN: _Statuses(422, QUARANTINED),
    "sop-class": _Statuses(415, SOP_CLASS_NOT_SUPPORTED),
    "transfer-syntax": _Statuses(415, SYNTAX_NOT_SUPPORTED),
    "dicom-malformed": _Statuses(422),
    "photometric": _Statuses(422),
    "bit-depth": _Statuses(422),
    "pixel-length": _Statuses(422),
    "header-mismatch": _Statuses(422),
    "uid-mismatch": _Statuses(409, NOT_AS_ANNOUNCED),
    # clinical metadata
    "metadata-malformed": _Statuses(400),
    "metadata-unknown": _Statuses(400),
    "metadata-value": _Statuses(400),
    "metadata-twice": _Statuses(400),
    "metadata-too-large": _Statuses(413, OUT_OF_RESOURCES),
    # who asks, and how often
    "token-missing": _Statuses(401, NOT_AUTHORISED),
    "token-unknown": _Statuses(401, NOT_AUTHORISED),
    "role": _Statuses(403, NOT_AUTHORISED),
    "cross-site": _Statuses(403, NOT_AUTHORISED),
    "host-unknown": _Statuses(421),
    "device-name": _Statuses(400),
    "rate-limit": _Statuses(429, OUT_OF_RESOURCES),
    "busy": _Statuses(503, OUT_OF_RESOURCES),
    # a request
    "malformed": _Statuses(400),
    "content-type": _Statuses(415),
    "not-acceptable": _Statuses(406),
    "multipart": _Statuses(400),
    "multipart-malformed": _Statuses(400),
    "parts": _Statuses(400),
    "part-twice": _Statuses(400),
    "too-slow": _Statuses(408),
    "request-name": _Statuses(400),
    "request-reused": _Statuses(409, REQUEST_REUSED),
    "response-topic": _Statuses(400),
    "not-found": _Statuses(404),
    "method-not-allowed": _Statuses(405),
    # a saved diagnosis
    "unknown": _Statuses(404),
    "no-longer-kept": _Statuses(410),
    "class-unknown": _Statuses(400),
    "method-unknown": _Statuses(400),
    "opinion": _Statuses(400),
    # the node itself
    "unusable": _Statuses(400, PROCESSING_FAILURE),
    "storage": _Statuses(503, OUT_OF_RESOURCES),
    "internal": _Statuses(500, PROCESSING_FAILURE),
}


class Refused(InputError):
    """A request that gets no diagnosis.

    Attributes:
        code: the reason for machines, a key of the table above; ``docs/bad-input.md`` lists them.
        status: the HTTP status; by default that of the table.
        retry_after: seconds after which the same request may succeed, for the header ``Retry-After``.
    """

    def __init__(
        self,
        code: str,
        what: str,
        *,
        where: object = "",
        remedy: str = "",
        status: int | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(what, where=where, remedy=remedy)
        self.code, self.status, self.retry_after = code, status or _STATUSES[code].http, retry_after

    def __reduce__(self) -> tuple[object, ...]:
        more: dict[str, Any] = {"where": self.where, "remedy": self.remedy, "status": self.status}
        return partial(Refused, **more, retry_after=self.retry_after), (self.code, self.what)

    @property
    def dicom_status(self) -> int:
        """The status of C-STORE, and the failure reason of STOW-RS."""
        return _STATUSES[self.code].dicom

    def to_dict(self) -> dict[str, str]:
        """As JSON types: what every way in answers."""
        return {"code": self.code, "error": self.what, "remedy": self.remedy}


def refusal_of(error: Exception) -> Refused:
    """The refusal that answers an exception, without the text of an unexpected one: it may name a person."""
    if isinstance(error, Refused):
        return error
    if isinstance(error, StorageError):
        return Refused("storage", "The node cannot save anything now", remedy="Tell the node's operator")
    if isinstance(error, InputError):
        return Refused("unusable", error.what, remedy=error.remedy)
    return Refused("internal", "The node failed", remedy="Tell the node's operator; its log says where")
