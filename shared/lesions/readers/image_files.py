"""Finding the images and lesion masks below a folder."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from dermafed.shared.errors import DatasetError

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")
MASK_FOLDERS = ("masks", "mask", "segmentations")
_MASK_ENDING = "_segmentation"
_SUPERPIXELS = "_superpixels"  # ISIC 2017 lays these beside its images


@dataclass(frozen=True, slots=True)
class ImageFiles:
    """The images and masks below a folder.

    Attributes:
        root: the folder.
        images: image files by name without suffix.
        masks: lesion masks by the name of their image.
    """

    root: Path
    images: dict[str, Path]
    masks: dict[str, Path]


def find_images(root: Path) -> ImageFiles:
    """List the images below a folder, and the masks (in a folder ``masks``, or named ``ID_segmentation``).

    Raises:
        DatasetError: no folder, no image, or two images of one name.
    """
    if not root.is_dir():
        raise DatasetError("no such folder", where=root, remedy="Check the path")
    images: dict[str, Path] = {}
    masks: dict[str, Path] = {}
    for path in _walk(root):
        if _is_mask(path, root):
            masks[path.stem.removesuffix(_MASK_ENDING)] = path
        elif path.stem in images:
            raise DatasetError(
                f"two images are named {path.stem!r}: {images[path.stem]} and {path}",
                where=root,
                remedy="Remove or rename one",
            )
        else:
            images[path.stem] = path
    if not images:
        raise DatasetError(
            "no images", where=root, remedy=f"Files ending in {', '.join(IMAGE_SUFFIXES)} are read"
        )
    return ImageFiles(root, images, masks)


def find_photographs(root: Path, suffixes: Sequence[str] = IMAGE_SUFFIXES) -> list[Path]:
    """List the images below a folder except masks, in order of name; several may have one name."""
    return [path for path in _walk(root, suffixes) if not _is_mask(path, root)]


def named_images(paths: Sequence[Path], suffixes: Sequence[str] = IMAGE_SUFFIXES) -> list[Path]:
    """List the files, and every image but masks in or below the folders, each once.

    Raises:
        DatasetError: a folder cannot be read or has no image.
    """
    found: dict[Path, None] = {}
    for path in paths:
        inside = find_photographs(path, suffixes) if path.is_dir() else [path]
        if not inside:
            raise DatasetError("The folder has no image", where=path, remedy="Name images or their folder")
        found |= dict.fromkeys(inside)
    return list(found)


def image_name(text: str) -> str:
    """Return an image's name without suffix, from a file name or from a path of any operating system."""
    name = text.strip().replace("\\", "/").rsplit("/", 1)[-1]
    stem, dot, suffix = name.rpartition(".")
    return stem if dot and f".{suffix.lower()}" in IMAGE_SUFFIXES else name


def _is_mask(path: Path, root: Path) -> bool:
    folders = path.relative_to(root).parts[:-1]
    return path.stem.endswith(_MASK_ENDING) or any(name.casefold() in MASK_FOLDERS for name in folders)


def _refuse(error: OSError) -> None:
    raise DatasetError(
        f"cannot be read: {error.strerror}", where=error.filename, remedy="Check your permission to read it"
    ) from error


def _walk(root: Path, suffixes: Sequence[str] = IMAGE_SUFFIXES) -> Iterator[Path]:
    """All image files below ``root`` but superpixels, in order of name.

    Links are followed, each folder is entered once.
    """
    entered: set[Path] = set()
    for folder, subfolders, names in os.walk(root, onerror=_refuse, followlinks=True):
        real = Path(folder).resolve()
        if real in entered:
            subfolders.clear()
            continue
        entered.add(real)
        subfolders[:] = sorted(name for name in subfolders if not name.startswith((".", "__MACOSX")))
        for name in sorted(names):
            if name.startswith(".") or Path(name).stem.endswith(_SUPERPIXELS):
                continue
            if Path(name).suffix.lower() in suffixes:
                yield Path(folder, name)
