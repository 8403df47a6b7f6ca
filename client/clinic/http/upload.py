"""Read an upload: an image and its metadata. File names are never read, nothing is spooled to disk."""

from __future__ import annotations

import logging
from typing import Any

from fastapi import Request
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from dermafed.client.clinic.intake.clinical import Clinical, read_clinical
from dermafed.client.clinic.intake.refusals import Refused

_METADATA_BYTES = 16 * 1024

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
                            "description": "JSON: age, sex, site, request; all optional.",
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


async def read_parts(request: Request) -> dict[str, bytes]:
    """Read the body's parts by name, each once.

    Raises:
        Refused: the body is not a form, or a part is there twice.
    """
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise Refused(
            "content-type", "The body is not a form", remedy="Send multipart/form-data with a part 'image'"
        )
    parser = _InMemory(
        request.headers, request.stream(), max_files=8, max_fields=8, max_part_size=_METADATA_BYTES
    )
    try:
        form = await parser.parse()
    except (MultiPartException, ValueError) as error:  # the parser beneath raises the latter
        raise Refused("multipart", "The form cannot be read", remedy="Send it again") from error
    parts: dict[str, bytes] = {}
    for name, value in form.multi_items():
        if name in parts:
            raise Refused("part-twice", "A part is there twice", remedy="Send one image a request")
        parts[name] = await value.read() if isinstance(value, UploadFile) else value.encode()
    return parts


def split_parts(parts: dict[str, bytes]) -> tuple[bytes, Clinical, str | None]:
    """The image of a form's parts, the clinical data, and the sender's name of the request.

    Raises:
        Refused: a part is missing or unknown, or the metadata cannot be used.
    """
    unknown = set(parts) - {"image", "metadata"}
    if unknown or "image" not in parts:
        what = "There is an unknown part" if unknown else "There is no part 'image'"
        raise Refused("parts", what, remedy="Send a file as 'image', and JSON as 'metadata'")
    return parts["image"], *read_clinical(parts.get("metadata") or b"{}")
