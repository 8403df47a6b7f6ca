"""Which files are images, which of them are read, and notes on those that are left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

_JPEG_SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".jfi", ".jif", ".pjpeg", ".pjp")
IMAGE_SUFFIXES = (*_JPEG_SUFFIXES, ".png", ".bmp", ".dib", ".tif", ".tiff", ".webp")
# Images all the same, but of kinds that are not read.
_OTHER = """
    .heic .heif .heics .heifs .hif .avif .avifs .avci .gif .dcm .dicom .jp2 .j2k .jpx .jpf .jpm .j2c .jpc .jxl
    .jxr .wdp .hdp .jls .jps .mpo .psd .psb .xcf .svg .tga .ppm .pgm .pbm .pnm .pam .pfm .ico .cur .pcx .sgi
    .rgb .exr .hdr .dds .qoi .bpg .apng .emf .wmf .eps .jpg_large .raw .dng .cr2 .cr3 .crw .nef .nrw .arw .sr2
    .srf .orf .rw2 .rwl .raf .pef .srw .3fr .fff .iiq .kdc .dcr .mrw .x3f .erf .mef .mos
"""
OTHER_SUFFIXES = frozenset(_OTHER.split())
_BEGINNINGS = (b"\xff\xd8\xff", b"\x89PNG\r\n", b"GIF8", b"II*\0", b"MM\0*")
_DICOM_AT = 128


def is_image(path: Path) -> bool:
    """Whether a file is an image of a kind that is read, by its suffix."""
    return path.suffix.lower() in IMAGE_SUFFIXES


def is_of_another_kind(path: Path) -> bool:
    """Whether a file is an image of a kind that is not read; without suffix, its first bytes tell."""
    return path.suffix.lower() in OTHER_SUFFIXES or (not path.suffix and _begins_as_image(path))


def _begins_as_image(path: Path) -> bool:
    if not path.is_file():  # a pipe would wait for ever
        return False
    try:
        with path.open("rb") as file:
            start = file.read(_DICOM_AT + 4)
    except OSError:
        return False
    return start.startswith(_BEGINNINGS) or start[_DICOM_AT:] == b"DICM" or start[4:8] == b"ftyp"


def names_image(text: str) -> bool:
    """Whether a text ends as the name of an image file does, read or not."""
    _, dot, suffix = text.strip().rpartition(".")
    return bool(dot) and (f".{suffix.lower()}" in IMAGE_SUFFIXES or f".{suffix.lower()}" in OTHER_SUFFIXES)


def note_other_kinds(paths: Sequence[Path], root: Path) -> list[str]:
    """A note on images of kinds that are not read; none if there are none."""
    if not paths:
        return []
    kinds = Counter(path.suffix.lower() or "without suffix" for path in paths)
    counts = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
    example = paths[0].relative_to(root)
    return [f"{len(paths)} left out, images of a kind that is not read: {counts}, such as {example}"]


def note_system_folders(images: Sequence[Path], root: Path) -> list[str]:
    """A note on images in system folders, which are not entered; none if there are none."""
    if not images:
        return []
    return [f"{len(images)} left out, images in system folders, such as {images[0].relative_to(root)}"]
