"""Find the elements of a DICOM file, without recursion and within limits, before pydicom parses any."""

from __future__ import annotations

import zlib
from collections.abc import Collection, Iterator
from typing import NamedTuple

from dermafed.client.clinic.intake.refusals import Refused

MAX_BYTES = 160 * 2**20  # of 50 megapixels as they are, and of what is deflated
MAX_ELEMENTS = 20_000
MAX_DEPTH = 16
MAX_VALUE = 8192  # bytes of any element that is parsed

DEFLATED, IMPLICIT, BIG_ENDIAN = "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2", "1.2.840.10008.1.2.2"
PIXEL_DATA = 0x7FE00010
_SYNTAX = 0x00020010

_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_UNDEFINED = 0xFFFFFFFF
_PREAMBLE = 132
_LONG = {b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"}
_SHORT = set(b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split())


class Element(NamedTuple):
    """Where an element of the data set itself lies: its header from `start`, its value from `value`."""

    tag: int
    start: int
    value: int
    end: int


def split_file(data: bytes) -> tuple[str, memoryview]:
    """Split a DICOM file.

    Returns:
        The transfer syntax's UID, and the encoded data set, inflated.

    Raises:
        Refused: it is not a DICOM file, too large, or damaged.
    """
    if len(data) > MAX_BYTES:
        raise too_large()
    if data[128:_PREAMBLE] != b"DICM":
        what = "This is not a DICOM file"
        remedy = "Send the whole file, with its preamble, or a JPEG or PNG as such"
        raise Refused("unsupported-type", what, where="image", remedy=remedy)
    syntax, at, last, view = "", _PREAMBLE, -1, memoryview(data)
    while bytes(view[at : at + 2]) == b"\2\0":  # the group of the file's own elements
        element = next(elements(view, at, explicit=True))
        if element.tag <= last:
            raise malformed()
        last, at = element.tag, element.end
        if element.tag == _SYNTAX:
            syntax = bytes(view[element.value : at][:64]).rstrip(b"\0 ").decode("ascii", "replace")
    return syntax, memoryview(_inflate(view[at:])) if syntax == DEFLATED else view[at:]


class Selected(NamedTuple):
    """Some elements of an encoded data set.

    Attributes:
        encoded: the elements, as they were.
        pixels: the value of the pixel data, which are not among them.
        too_long: tags of optional elements that were left out.
    """

    encoded: bytes
    pixels: memoryview
    too_long: tuple[int, ...]


def select_elements(
    data: memoryview, tags: Collection[int], optional: Collection[int] = (), *, explicit: bool
) -> Selected:
    """Select some elements of an encoded data set, so that nothing else is ever parsed.

    Args:
        data: the data set.
        tags: of the elements.
        optional: of those that are left out where their value is long.
        explicit: whether the VRs are.

    Raises:
        Refused: it is damaged, too deep, has too many or repeated elements, or a long value that is needed.
    """
    parts, pixels, too_long, last = list[memoryview](), data[:0], list[int](), -1
    for element in elements(data, 0, explicit=explicit):
        if element.tag <= last:
            raise malformed()  # they stand in order, each once
        last = element.tag
        if element.tag == PIXEL_DATA:
            pixels = data[element.value : element.end]
        elif element.tag in tags:
            if element.end - element.start <= MAX_VALUE:
                parts.append(data[element.start : element.end])
            elif element.tag in optional:
                too_long.append(element.tag)
            else:
                raise malformed()
    return Selected(b"".join(parts), pixels, tuple(too_long))


def join_fragments(pixels: memoryview) -> bytes:
    """Join the fragments of encapsulated pixel data of one frame, without the offset table before them.

    Raises:
        Refused: they are not a sequence of fragments.
    """
    at, fragments = 0, list[memoryview]()
    for _ in range(MAX_ELEMENTS):
        if at == len(pixels) or bytes(pixels[at : at + 4]) == b"\xfe\xff\xdd\xe0":
            return b"".join(fragments[1:])
        tag, _, length, value = _header(pixels, at, explicit=False)
        at = value + length
        if tag != _ITEM or at > len(pixels):
            raise malformed()
        fragments.append(pixels[value:at])
    raise malformed()


def elements(data: memoryview, at: int, *, explicit: bool) -> Iterator[Element]:
    """Each element of the data set itself; what lies in sequences is stepped over.

    Raises:
        Refused: see :func:`select_elements`.
    """
    depth, top, plain = 0, Element(0, 0, 0, 0), 0
    for _ in range(MAX_ELEMENTS):
        if at == len(data) and not depth:
            return
        # The content of a UN of undefined length has implicit VRs (PS3.5, 6.2.2).
        tag, kind, length, value = _header(data, at, explicit=explicit and not plain)
        if not depth:
            top = Element(tag, at, value, value)
        if tag in (_ITEM_END, _SEQUENCE_END):
            depth, length = depth - 1, 0
            plain = plain if depth >= plain else 0
        elif length == _UNDEFINED:
            depth, length = depth + 1, 0
            plain = plain or (depth if kind == b"UN" else 0)
        at = value + length
        if at > len(data) or not 0 <= depth <= MAX_DEPTH:
            raise malformed()
        if not depth:
            yield top._replace(end=at)
    raise malformed()


def malformed() -> Refused:
    """The refusal of a DICOM object that breaks the standard's rules, or what can be made of it."""
    what = "The DICOM object is damaged, or its elements break the standard's rules"
    return Refused("dicom-malformed", what, where="image", remedy="Export it again from its source")


def too_large() -> Refused:
    """The refusal of a DICOM object for its length."""
    what = f"The DICOM object is larger than {MAX_BYTES >> 20} MiB"
    return Refused("too-large", what, where="image", remedy="Send it as JPEG baseline")


def _header(data: memoryview, at: int, *, explicit: bool) -> tuple[int, bytes, int, int]:
    """Tag, VR where it is explicit, length, and the offset of the value."""
    head = bytes(data[at : at + 12])
    if len(head) < 8:
        raise malformed()
    tag = int.from_bytes(head[:2], "little") << 16 | int.from_bytes(head[2:4], "little")
    if not explicit or tag in (_ITEM, _ITEM_END, _SEQUENCE_END):
        return tag, b"", int.from_bytes(head[4:8], "little"), at + 8
    kind = head[4:6]
    if kind in _SHORT:
        return tag, kind, int.from_bytes(head[6:8], "little"), at + 8
    if kind not in _LONG or len(head) < 12:
        raise malformed()
    return tag, kind, int.from_bytes(head[8:12], "little"), at + 12


def _inflate(data: memoryview) -> bytes:
    inflating = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        inflated = inflating.decompress(data, MAX_BYTES)
    except zlib.error:
        raise malformed() from None
    if inflating.unconsumed_tail:
        raise too_large()
    if not inflating.eof:
        raise malformed()
    return inflated
