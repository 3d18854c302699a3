"""The few elements of a plain DICOM header that a series needs; what is unusual is not judged."""

from __future__ import annotations

import os
from collections.abc import Container, Mapping
from functools import lru_cache
from struct import Struct, error
from typing import Any, BinaryIO, NamedTuple

from pydicom.charset import convert_encodings, default_encoding
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement, convert_raw_data_element
from pydicom.tag import BaseTag
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
)
from pydicom.valuerep import EXPLICIT_VR_LENGTH_16, EXPLICIT_VR_LENGTH_32

FIRST = 16_384  # bytes: nearly every header; the next reading takes in old overlays as well
_MOST = 2**20
_LONGEST = 1024  # bytes of a value: converted ones are kept, and a hostile file might fill memory

_START, _LENGTH = Struct("<HHL"), Struct("<L")
_SHORT = {kind.encode() for kind in EXPLICIT_VR_LENGTH_16}
_LONG = {kind.encode() for kind in EXPLICIT_VR_LENGTH_32}
_LONG_START, _SHORT_START = 12, 8  # bytes before a value
_UNDEFINED = 0xFFFFFFFF

_SYNTAX, _CHARACTERS, _SIGNED = 0x00020010, 0x00080005, 0x00280103
_META_BEGINS = b"DICM\2\0\0\0UL\4\0"
_META, _DATASET = 0x00020000, 0x00030000
_SIGNS = {b"\0\0": b"US", b"\1\0": b"SS"}
_PIXELS = (0x7FE00008, 0x7FE00009, 0x7FE00010)
_ITEM, _ITEM_ENDS, _SEQUENCE_ENDS = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD


class UnusualError(Exception):
    """A header that pydicom has to judge: it may be right in its way, or damaged."""


class Elements(NamedTuple):
    """
    What a header says.

    Parameters
    ----------
    values : dict
        By keyword, as pydicom gives them.
    transfer_syntax_uid : str
        How the file is written.
    n_left : int
        How many bytes stand behind the header.
    """

    values: dict[str, Any]
    transfer_syntax_uid: str
    n_left: int


class _Walked(NamedTuple):
    """What was found, each with its type and its bytes; the tag that ended it, and where."""

    found: dict[int, tuple[bytes | None, bytes]]
    tag: int
    at: int


def read(file: BinaryIO, start: bytes, wanted: Mapping[int, str]) -> Elements:
    """
    Elements of a header up to its pixels.

    The bytes are walked here and their values converted by pydicom, once for all files that hold
    the same ones: of a series, most are the same in each.

    Parameters
    ----------
    file : binary file
        Positioned behind `start`.
    start : bytes
        Its first `FIRST` bytes, or all that it has.
    wanted : mapping of int to str
        The keywords by tag; no sequence.

    Returns
    -------
    Elements
        Equal to what pydicom reads.

    Raises
    ------
    UnusualError
        If the file is not written in the plain way: without preamble and transfer syntax, big
        endian, deflated, its elements not in ascending order, of unknown type or length, or cut.
    """
    size = os.fstat(file.fileno()).st_size
    try:
        return within(start, size, wanted)
    except (EOFError, error):
        if len(start) == size:
            raise UnusualError("it ends early") from None
    try:
        return within(start + file.read(_MOST - len(start)), size, wanted)
    except (EOFError, error):
        raise UnusualError("its header is long, or ends early") from None


def within(data: bytes, size: int, wanted: Mapping[int, str]) -> Elements:
    """
    Elements of a header up to its pixels, as far as its bytes are there.

    Parameters
    ----------
    data : bytes
        The first bytes of a file.
    size : int
        How many bytes it has.
    wanted : mapping of int to str
        The keywords by tag; no sequence.

    Returns
    -------
    Elements
        Equal to what pydicom reads.

    Raises
    ------
    UnusualError
        As `read`.
    EOFError, struct.error
        If the header goes on behind `data`.
    """
    if data[128:140] != _META_BEGINS:
        raise UnusualError("it does not begin with a preamble and the length of its first group")
    meta = _walked(data, 132, size, {_SYNTAX}, implicit=False, after=_META - 1, until=_DATASET)
    if _SYNTAX not in meta.found:
        raise UnusualError("its transfer syntax is not said")
    syntax = str(_value(_SYNTAX, *meta.found[_SYNTAX], (default_encoding,)))
    implicit = _is_implicit(syntax)
    if implicit and data[meta.at + 4 : meta.at + 6].isupper():
        raise UnusualError("it is explicit where it should be implicit")
    kept = {_CHARACTERS, *wanted}
    body = _walked(data, meta.at, size, kept, implicit=implicit, after=_DATASET, until=_PIXELS[0])
    n_left = size - body.at
    if n_left != 0 and (body.tag not in _PIXELS or n_left < _LONG_START):
        raise UnusualError("it ends in an element, or something stands behind its pixels")
    return Elements(_values(body.found, wanted), syntax, n_left)


def _is_implicit(syntax: str) -> bool:
    """Whether types are left out; all other syntaxes are explicit, with two exceptions."""
    if syntax in (DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian):
        raise UnusualError("it is deflated or big endian")
    if not syntax.startswith("1.2.840.10008.1.2"):
        raise UnusualError("its transfer syntax is private")
    return syntax == str(ImplicitVRLittleEndian)


def _walked(
    data: bytes,
    at: int,
    end: int,
    wanted: Container[int],
    *,
    implicit: bool,
    after: int,
    until: int,
) -> _Walked:
    """Elements between two tags, from one place in the file to another."""
    found: dict[int, tuple[bytes | None, bytes]] = {}
    kind: bytes | None = None
    tag = after
    while at < end:
        group, element, length = _START.unpack_from(data, at)
        previous, tag = tag, group << 16 | element
        if tag >= until:
            break
        if tag <= previous:
            raise UnusualError("its elements are not in ascending order")
        start = at + _SHORT_START
        if not implicit:
            kind = data[at + 4 : at + 6]
            if kind in _SHORT:
                length >>= 16
            else:
                start, length = _long(data, at, kind)
        if length == _UNDEFINED:
            if tag in wanted:
                raise UnusualError("a value has no length")
            _require_sequence(tag, kind)
            at = _after_sequence(data, start, implicit=implicit)
            continue
        at = start + length
        if tag in wanted:
            found[tag] = kind, _short_value(data, start, at)
    return _Walked(found, tag, at)


def _long(data: bytes, at: int, kind: bytes) -> tuple[int, int]:
    """Where the value of an element begins whose length has four bytes, and how long it is."""
    if kind not in _LONG:
        raise UnusualError("an element is of no known type")
    return at + _LONG_START, _LENGTH.unpack_from(data, at + 8)[0]


def _require_sequence(tag: int, kind: bytes | None) -> None:
    """Refuse any other element without a length; where types are left out, the tag tells."""
    if (kind.decode() if kind else dictionary_VR(tag)) != "SQ":
        raise UnusualError("an element has no length")


def _short_value(data: bytes, start: int, end: int) -> bytes:
    """The bytes of a value that is wanted."""
    if end - start > _LONGEST:
        raise UnusualError("a value is long")
    if end > len(data):
        raise EOFError
    return data[start:end]


def _after_sequence(data: bytes, at: int, *, implicit: bool) -> int:
    """Where a sequence without a length ends."""
    while True:
        group, element, length = _START.unpack_from(data, at)
        at += 8
        if (tag := group << 16 | element) == _SEQUENCE_ENDS:
            return at
        if tag != _ITEM:
            raise UnusualError("a sequence holds something other than items")
        end = at + length if length != _UNDEFINED else len(data)
        item = _walked(data, at, end, frozenset(), implicit=implicit, after=0, until=_ITEM_ENDS)
        at = item.at
        if length == _UNDEFINED:
            _require_delimiter(data, at)
            at += 8
        elif at != end:
            raise UnusualError("an item ends elsewhere than it says")


def _require_delimiter(data: bytes, at: int) -> None:
    """Refuse whatever else ends an item without a length."""
    group, element, length = _START.unpack_from(data, at)
    if (group << 16 | element, length) != (_ITEM_ENDS, 0):
        raise UnusualError("an item does not end where it should")


def _values(
    found: dict[int, tuple[bytes | None, bytes]], wanted: Mapping[int, str]
) -> dict[str, Any]:
    """Converted values by keyword."""
    encodings: tuple[str, ...] = (default_encoding,)
    if _CHARACTERS in found:
        encodings = _encodings(*found.pop(_CHARACTERS))
    values = {}
    for tag, (kind, value) in found.items():
        if kind == b"UN":
            raise UnusualError("a value's type is not said")
        signed = kind is None and dictionary_VR(tag) == "US or SS"
        said = _SIGNS[found[_SIGNED][1]] if signed else kind
        values[wanted[tag]] = _value(tag, said, value, encodings)
    return values


@lru_cache(maxsize=4096)
def _value(tag: int, kind: bytes | None, value: bytes, encodings: tuple[str, ...]) -> Any:
    """A value as pydicom converts it."""
    said = kind and kind.decode()
    raw = RawDataElement(BaseTag(tag), said, len(value), value, 0, kind is None, True)
    return convert_raw_data_element(raw, encoding=list(encodings)).value


@lru_cache
def _encodings(kind: bytes | None, value: bytes) -> tuple[str, ...]:
    """The character sets of a file's text, as Python names them."""
    return tuple(convert_encodings(_value(_CHARACTERS, kind, value, (default_encoding,))))
