"""Finding the images and lesion masks below a folder, and the image that a name means."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from filecmp import cmp
from pathlib import Path

from dermafed.shared.errors import DatasetError
from dermafed.shared.lesions.clinical_values import composed
from dermafed.shared.lesions.readers.image_kinds import (
    IMAGE_SUFFIXES,
    is_image,
    is_of_another_kind,
    names_image,
    note_other_kinds,
    note_system_folders,
)
from dermafed.shared.lesions.readers.walking import walk_files

MASK_FOLDERS = ("masks", "mask", "segmentations")
_MASK_ENDING = "_segmentation"
_SUPERPIXELS = "_superpixels"  # ISIC 2017 lays these beside its images


@dataclass(frozen=True, slots=True)
class ImageFiles:
    """The images and masks below a folder.

    Attributes:
        root: the folder.
        images: image files by their id: the name without suffix, or where several images have it, the path
            below ``root`` without suffix, such as ``benign/3``.
        masks: lesion masks by the id of their image.
        notes: what else is there and was left out.
        others: images of kinds that are not read.
        copies: images that `identify` found to be the same, byte for byte, as one of the same name.
    """

    root: Path
    images: dict[str, Path]
    masks: dict[str, Path]
    notes: tuple[str, ...] = ()
    others: tuple[Path, ...] = ()
    copies: set[str] = field(default_factory=set)
    _by_name: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def identify(self, text: str, place: object, *, alike: bool = False) -> str:
        """The id of the image that a label file names; a name that no image has is returned as it is.

        The folders in ``text`` count only where images share a name: the longest agreement decides. Where
        ``alike``, the first of several copies is taken.

        Raises:
            DatasetError: several images fit.
        """
        parts = [
            part for part in composed(text.strip()).replace("\\", "/").split("/") if part not in ("", ".")
        ]
        if not parts:
            return ""
        name = image_name(parts[-1])
        found = next((ids for key in _keys(parts[-1], name) if (ids := self._by_name.get(key))), [])
        if not found:
            return name
        if len(found) > 1:
            agreement = {id: _agreement(parts, self._parts(id)) for id in found}
            best = max(agreement.values())
            found = [id for id in found if agreement[id] == best]
        first, *others = (self.images[id] for id in found)
        unlike = [other for other in others if not (alike and _are_copies(first, other))]
        if unlike:
            raise DatasetError(
                f"two images are named {name!r}: {first} and {unlike[0]}",
                where=place,
                remedy="Name the image with its folder, or rename one",
            )
        self.copies.update(found[1:])
        return found[0]

    def _parts(self, id: str) -> list[str]:
        return [composed(part) for part in self.images[id].relative_to(self.root).parts]


def find_images(root: Path) -> ImageFiles:
    """List the images below a folder, and the masks (in a folder ``masks``, or named ``ID_segmentation``).

    Raises:
        DatasetError: no folder, no image, or two images of one name in one folder.
    """
    if not root.is_dir():
        raise DatasetError("no such folder", where=root, remedy="Check the path")
    system: list[Path] = []
    pictures = [path for path in walk_files(root, system) if not path.stem.endswith(_SUPERPIXELS)]
    others = tuple(path for path in pictures if is_of_another_kind(path))
    unseen = [path for folder in system for path in walk_files(folder) if is_image(path)]
    notes = [*note_other_kinds(others, root), *note_system_folders(unseen, root)]
    pictures = [path for path in pictures if is_image(path)]
    images = _with_ids([path for path in pictures if not _is_mask(path, root)], root)
    if not images:
        raise DatasetError(
            f"no images{f'; {notes[0]}' if others else ''}",
            where=root,
            remedy=f"Files ending in {', '.join(IMAGE_SUFFIXES)} are read",
        )
    by_name: dict[str, list[str]] = {}
    for id, path in images.items():
        for key in dict.fromkeys(_keys(composed(path.stem))):
            by_name.setdefault(key, []).append(id)
    files = ImageFiles(root, images, {}, tuple(notes), others, _by_name=by_name)
    files.masks.update(_masks([path for path in pictures if _is_mask(path, root)], files))
    return files


def find_photographs(root: Path, suffixes: Sequence[str] = IMAGE_SUFFIXES) -> list[Path]:
    """List the images below a folder except masks, in order of name; several may have one name."""
    pictures = (path for path in walk_files(root) if path.suffix.lower() in suffixes)
    return [path for path in pictures if not (_is_mask(path, root) or path.stem.endswith(_SUPERPIXELS))]


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
    name = composed(text.strip()).replace("\\", "/").rsplit("/", 1)[-1]
    stem, dot, _ = name.rpartition(".")
    return stem if dot and names_image(name) else name


def _keys(*names: str) -> list[str]:
    """The keys under which an image is looked up, the nearest first; a slash is in no name."""
    return [name for name in names if name] + [f"/{name.casefold()}" for name in names if name]


def _agreement(wanted: Sequence[str], have: Sequence[str]) -> tuple[bool, int, bool]:
    """How well a path fits a file's: the whole of it, how many folders from the last, and the suffix."""
    same_suffix = wanted[-1] == have[-1]
    folders = _common(wanted[-2::-1], have[-2::-1])
    return list(wanted[:-1]) == list(have[:-1]), folders, same_suffix


def _are_copies(one: Path, other: Path) -> bool:
    try:
        return cmp(one, other, shallow=False)
    except OSError:
        return False


def _common(one: Sequence[str], other: Sequence[str]) -> int:
    """How many names two sequences share at their start."""
    pairs = zip(one, other, strict=False)
    return next((at for at, (mine, theirs) in enumerate(pairs) if mine != theirs), min(len(one), len(other)))


def _with_ids(paths: Sequence[Path], root: Path) -> dict[str, Path]:
    """The images by id; of those whose ids would be equal, all get a longer one."""

    def relative(path: Path) -> Path:
        return path.relative_to(root)

    forms = (
        lambda path: path.stem,
        lambda path: relative(path).with_suffix("").as_posix(),
        lambda path: relative(path).as_posix(),
    )
    images: dict[str, Path] = {}
    chosen = dict.fromkeys(paths, 0)
    for _ in forms:
        ids = {path: composed(forms[form](path)) for path, form in chosen.items()}
        count = Counter(ids.values())
        images = {id: path for path, id in ids.items()}
        chosen = {path: min(form + (count[ids[path]] > 1), 2) for path, form in chosen.items()}
    if len(images) < len(paths):
        twice = next(path for path in paths if images[composed(relative(path).as_posix())] != path)
        raise DatasetError(
            f"two images are named {composed(twice.name)!r}",
            where=twice.parent,
            remedy="Remove or rename one",
        )
    return images


def _masks(paths: Sequence[Path], files: ImageFiles) -> dict[str, Path]:
    """The mask of each image; where images share a name, of the one that lies nearest."""
    masks: dict[str, Path] = {}
    for path in paths:
        found = files._by_name.get(composed(path.stem.removesuffix(_MASK_ENDING)), [])
        near = {id: _common_folders(path, files.images[id]) for id in found}
        nearest = [id for id in found if near[id] == max(near.values())]
        if len(nearest) == 1:
            masks[nearest[0]] = path
    return masks


def _common_folders(mask: Path, image: Path) -> tuple[int, bool]:
    own = [name for name in mask.parts[:-1] if name.casefold() not in MASK_FOLDERS]
    theirs = [name for name in image.parts[:-1] if name.casefold() != "images"]
    return _common(own, theirs), own == theirs


def _is_mask(path: Path, root: Path) -> bool:
    folders = path.relative_to(root).parts[:-1]
    return path.stem.endswith(_MASK_ENDING) or any(name.casefold() in MASK_FOLDERS for name in folders)
