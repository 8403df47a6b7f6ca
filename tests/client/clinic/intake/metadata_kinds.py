"""Kinds of metadata."""

from __future__ import annotations

from dermafed.client.clinic.intake.clinical import MAX_TEXT
from tests.client.clinic.intake.kinds import metadata
from tests.client.clinic.intake.sample_files import SECRET

METADATA_KINDS = [
    metadata("metadata-none", "metadata of no bytes", b"", "metadata-malformed"),
    metadata("metadata-text", "metadata that are not JSON", b"age=54", "metadata-malformed"),
    metadata("metadata-list", "metadata that are a list", b"[]", "metadata-malformed"),
    metadata("metadata-deep", "metadata nested deep", b"[" * 3000, "metadata-malformed"),
    metadata("metadata-utf-16", "metadata in UTF-16", "{}".encode("utf-16"), "metadata-malformed"),
    metadata("metadata-twice", "a field given twice", b'{"age": 1, "age": 2}', "metadata-malformed"),
    metadata("metadata-nan", "NaN in metadata", b'{"age": NaN}', "metadata-malformed"),
    metadata("metadata-large", "very long metadata", b" " * (MAX_TEXT + 1), "metadata-too-large", 413),
    metadata("metadata-field", "a field that names a person", b'{"patient_name": "x"}', "metadata-unknown"),
    metadata("metadata-key", "a name as a field", f'{{"{SECRET} 1950": 1}}'.encode(), "metadata-unknown"),
    metadata("metadata-age", "an impossible age", b'{"age": 121}', "metadata-value"),
    metadata("metadata-age-text", "an age as text", b'{"age": "54"}', "metadata-value"),
    metadata("metadata-sex", "an unknown sex", b'{"sex": "yes"}', "metadata-value"),
    metadata("metadata-site", "a date in the body site", b'{"site": "back 1.2.1950"}', "metadata-value"),
    metadata("metadata-request", "a path as request", b'{"request": "../../etc/passwd"}', "metadata-value"),
]
