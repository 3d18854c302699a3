"""DICOM files whose lengths disagree are told, whatever a lenient reader would make of them."""

from __future__ import annotations

import io

import pytest
from dicom_files import ct_slice
from faults import elements
from pydicom.dataset import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

from hcc_utils.imaging import integrity


def written(syntax=ExplicitVRLittleEndian, *, is_open=False) -> bytes:
    """A slice with a sequence of two items, one of which holds another sequence."""
    image = ct_slice(2, 0, patient_id="P1")
    inner, other = Dataset(), Dataset()
    inner.CodeValue = "1"
    other.PurposeOfReferenceCodeSequence = [inner]
    other.ReferencedSOPInstanceUID = "1.2.3"
    image.SourceImageSequence = [other, Dataset()]
    for item in image.SourceImageSequence:
        item.is_undefined_length_sequence_item = is_open
    image["SourceImageSequence"].is_undefined_length = is_open
    if syntax == RLELossless:
        image.compress(syntax, generate_instance_uid=False)
    else:
        image.file_meta.TransferSyntaxUID = syntax
    with io.BytesIO() as file:
        image.save_as(file, enforce_file_format=True)
        return file.getvalue()


SYNTAXES = [
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
    RLELossless,
]


@pytest.mark.parametrize("is_open", [False, True], ids=["lengths", "end marks"])
@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda syntax: syntax.name)
def test_what_is_whole_passes(syntax, is_open):
    integrity.require_dicom(written(syntax, is_open=is_open))


def with_length(data: bytes, place: int, keyword: str, more: int) -> bytes:
    """The file after one element's length grew, nothing else."""
    found = [e for e in elements.elements(data) if e.keyword == keyword][place]
    length = (found.end - found.value_at + more).to_bytes(found.length_size, "little")
    return data[: found.length_at] + length + data[found.value_at :]


@pytest.mark.parametrize(
    ("place", "keyword", "more"),
    [
        (0, "CodeValue", 2),
        (0, "Item", 2),
        (0, "Item", -2),
        (-1, "Item", 8),
        (0, "SourceImageSequence", 8),
        (0, "Modality", 2),
        (0, "Rows", -2),
        (0, "PixelData", -2),
    ],
)
def test_a_length_that_disagrees_is_told(place, keyword, more):
    """Each swallows what follows, or leaves bytes that begin no element."""
    with pytest.raises(ValueError, match=r"left over|longer than|something else|none can be"):
        integrity.require_dicom(with_length(written(), place, keyword, more))


@pytest.mark.parametrize(
    ("keyword", "vr"), [("Modality", b"FL"), ("Modality", b"OW"), ("Rows", b"IS")]
)
def test_numbers_for_text_and_text_for_numbers_are_told(keyword, vr):
    """By the standard an identifier is text, and Rows is a number of two bytes."""
    data = written()
    (found,) = [e for e in elements.elements(data) if e.keyword == keyword]
    with pytest.raises(ValueError, match=rf"at byte {found.start} cannot be {vr.decode()}"):
        integrity.require_dicom(data[: found.start + 4] + vr + data[found.start + 6 :])


def test_an_element_that_is_there_twice_is_told():
    """Which of two slopes counts, nobody knows."""
    data = written()
    (slope,) = [e for e in elements.elements(data) if e.keyword == "RescaleSlope"]
    twice = data[: slope.end] + data[slope.start :]
    with pytest.raises(ValueError, match=r"00281053.*where none can be"):
        integrity.require_dicom(twice)


@pytest.mark.parametrize("syntax", [DeflatedExplicitVRLittleEndian, RLELossless])
def test_what_ends_early_is_told(syntax):
    with pytest.raises(ValueError, match=r"ends early|not closed|left over|something else"):
        integrity.require_dicom(written(syntax)[:-20])


def test_pixels_that_end_early_are_left_to_who_reads_them():
    """Of many frames the others may be whole: `rules` tells, and the frame that is missing."""
    integrity.require_dicom(written()[:-20])
