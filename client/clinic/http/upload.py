"""Read an upload: an image and its metadata. File names are never read, nothing is spooled to disk."""

from __future__ import annotations

import logging
from typing import Any

from fastapi import Request
from python_multipart.multipart import parse_options_header
from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from dermafed.client.clinic.intake.clinical import Clinical, read_clinical, read_scale
from dermafed.client.clinic.intake.refusals import Refused

UPLOAD_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["image"],
                    "additionalProperties": False,
                    "properties": {
                        "image": {
                            "type": "string",
                            "format": "binary",
                            "description": "A JPEG, PNG or DICOM file.",
                        },
                        "metadata": {
                            "type": "string",
                            "description": "JSON: age, sex, site, request, mm_per_pixel; all optional.",
                            "example": '{"age": 54, "sex": "female", "site": "back", "request": "1-0001"}',
                        },
                    },
                }
            }
        },
    }
}
"""The OpenAPI description of the body: the framework would read the body before the token is checked."""


# It logs bytes of what it cannot parse.
logging.getLogger("python_multipart").setLevel(logging.CRITICAL)


class _InMemory(MultiPartParser):
    """Starlette's parser; its own writes what is larger than 1 MiB to the disk, in the clear."""

    spool_max_size = 2**62

    def on_headers_finished(self) -> None:
        """Make every part a file: the name is optional (RFC 7578, 4.2); Starlette decodes others as text."""
        disposition = self._current_part.content_disposition or b""
        if b"filename" not in parse_options_header(disposition)[1]:
            self._current_part.content_disposition = disposition + b'; filename=""'
        super().on_headers_finished()


async def read_parts(request: Request) -> dict[str, bytes]:
    """Read the body's parts by name, each once.

    Raises:
        Refused: the body is not a form, or a part is there twice.
    """
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise Refused(
            "content-type", "The body is not a form", remedy="Send multipart/form-data with a part 'image'"
        )
    parser = _InMemory(request.headers, request.stream(), max_files=8)
    try:
        form = await parser.parse()
    except (MultiPartException, ValueError) as error:  # the parser beneath raises the latter
        raise Refused("multipart", "The form cannot be read", remedy="Send it again") from error
    parts: dict[str, bytes] = {}
    for name, value in form.multi_items():
        if name in parts:
            raise Refused("part-twice", "A part is there twice", remedy="Send one image a request")
        assert isinstance(value, UploadFile), "every part is one"
        content = await value.read()
        parts[name] = _in_utf8(content, value.headers) if name == "metadata" else content
    return parts


def _in_utf8(text: bytes, headers: Headers) -> bytes:
    """A text of the charset that its part declares, in UTF-8; as it is if it is not in that charset."""
    declared = parse_options_header(headers.get("content-type"))[1].get(b"charset", b"utf-8")
    try:
        return text.decode(declared.decode("latin-1")).encode()
    except (LookupError, ValueError):
        return text


def split_parts(parts: dict[str, bytes]) -> tuple[bytes, Clinical, str | None, float | None]:
    """The image of a form's parts, the clinical data, the sender's name of the request, and the scale.

    Raises:
        Refused: a part is missing or unknown, or the metadata cannot be used.
    """
    unknown = set(parts) - {"image", "metadata"}
    if unknown or "image" not in parts:
        what = "There is an unknown part" if unknown else "There is no part 'image'"
        raise Refused("parts", what, remedy="Send a file as 'image', and JSON as 'metadata'")
    metadata = parts.get("metadata") or b"{}"
    return parts["image"], *read_clinical(metadata), read_scale(metadata)
