"""Where each element of a DICOM file lies, by a reader of its own, to damage files by."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from pydicom.datadict import keyword_for_tag

_LONG = (b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV")
_UNDEFINED = 0xFFFFFFFF
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_PREAMBLE = 132
_DEFLATED, _BIG_ENDIAN = b"1.2.840.10008.1.2.1.99", b"1.2.840.10008.1.2.2\0"


@dataclass(frozen=True)
class Element:
    """One element or item: its tag from `start`, its value from `value_at` to `end`."""

    tag: int
    vr: bytes
    start: int
    length_at: int
    length_size: int
    value_at: int
    end: int
    above: tuple[Element, ...]
    is_open: bool

    @property
    def keyword(self) -> str:
        return "Item" if self.tag == _ITEM else keyword_for_tag(self.tag)


def plain(data: bytes) -> bytes:
    """The file with its data set inflated, where it is deflated."""
    if _DEFLATED not in data[:400]:
        return data
    start = _meta_end(data)
    return data[:start] + zlib.decompressobj(-zlib.MAX_WBITS).decompress(data[start:])


def packed(data: bytes) -> bytes:
    """What `plain` was made from, as far as its data set is concerned."""
    if _DEFLATED not in data[:400]:
        return data
    start = _meta_end(data)
    press = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return data[:start] + press.compress(data[start:]) + press.flush()


def order(data: bytes) -> str:
    """The order of bytes in the data set."""
    return "big" if _BIG_ENDIAN in data[:400] else "little"


def elements(data: bytes) -> list[Element]:
    """Every element of a plain file with explicit VRs, outer ones before those that they hold."""
    start = _meta_end(data)
    found = list(_walk(data, _PREAMBLE, start, "little", ()))
    return found + list(_walk(data, start, len(data), order(data), ()))


def _meta_end(data: bytes) -> int:
    """Where the data set begins: the first element tells the length of its group."""
    return _PREAMBLE + 12 + int.from_bytes(data[_PREAMBLE + 8 : _PREAMBLE + 12], "little")


def _walk(
    data: bytes, at: int, end: int, order: str, above: tuple[Element, ...]
) -> Iterator[Element]:
    while at < end:
        group = int.from_bytes(data[at : at + 2], order)
        tag = (group << 16) + int.from_bytes(data[at + 2 : at + 4], order)
        vr = b"" if group == 0xFFFE else data[at + 4 : at + 6]
        length_at, size = (at + 8, 4) if vr in _LONG else (at + 6, 2) if vr else (at + 4, 4)
        length = int.from_bytes(data[length_at : length_at + size], order)
        value_at = length_at + size
        if tag in (_ITEM_END, _SEQUENCE_END):
            return
        is_open = length == _UNDEFINED
        holds = vr == b"SQ" or is_open or (tag == _ITEM and bool(above) and above[-1].vr == b"SQ")
        one = Element(tag, vr, at, length_at, size, value_at, value_at + length, above, is_open)
        inner = []
        if holds:
            last = end if is_open else one.end
            inner = list(_walk(data, value_at, last, order, (*above, one)))
            if is_open:  # the end mark is 8 bytes behind what it holds
                closed = max((e.end for e in inner if len(e.above) == len(above) + 1), default=0)
                one = Element(
                    tag, vr, at, length_at, size, value_at, max(closed, value_at) + 8, above, True
                )
        yield one
        yield from inner
        at = one.end


def replaced(data: bytes, old: Element, start: int, end: int, new: bytes) -> bytes:
    """The file with other bytes within an element, and every length around it kept right."""
    changed = bytearray(data)
    around = (*old.above, old) if start >= old.value_at else old.above
    for one in around:
        if not one.is_open:
            length = one.end - one.value_at + len(new) - (end - start)
            length = max(0, min(length, 256**one.length_size - 1))
            side = "little" if one.tag >> 16 == 2 else order(data)
            changed[one.length_at : one.value_at] = length.to_bytes(one.length_size, side)
    changed[start:end] = new
    return bytes(changed)
