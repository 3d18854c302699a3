"""The quick reading of headers: equal to pydicom's, or left to pydicom."""

from __future__ import annotations

import copy
import dataclasses
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from dicom_files import ct_slice, mask, truth_hu, write_rtstruct, write_seg, write_series
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGLSLossless,
    RLELossless,
)
from test_enhanced_ct import item, write_enhanced
from test_hard_cases import (
    big_endian,
    implicit,
    lying_as,
    padded,
    signed_in_12_bits,
    transcode,
    unsigned,
)
from test_inventory import write_dicomdir

from hcc_utils.imaging import elements, headers, series

Change = Callable[[int, Dataset], object]


def outcome(path: Path) -> object:
    """What is read of a file, or why nothing is."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return headers.read(path)
    except headers.ImagingError as error:
        return str(error)


def by_pydicom(path: Path) -> object:
    """The same where nothing is read quickly."""

    def unusual(*_: object) -> elements.Elements:
        raise elements.UnusualError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(elements, "read", unusual)
        return outcome(path)


def is_quick(path: Path) -> bool:
    """Whether a file's header is read without pydicom's reader."""

    def forbidden(*_: object, **__: object) -> Dataset:
        raise AssertionError("pydicom read it")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pydicom, "dcmread", forbidden)
        return not isinstance(outcome(path), str)


def with_sequences(syntax=None, *, no_length: bool) -> Change:
    """Sequences in sequences, whose lengths are written or not, as Siemens and TCIA do."""

    def change(number: int, image: Dataset) -> None:
        inner = item(CodeValue="1", ConceptNameCodeSequence=item(CodeMeaning="within"))
        image.ProcedureCodeSequence = [inner[0], copy.deepcopy(inner[0])]
        image.ReferencedStudySequence = []
        image.PixelPaddingValue = -2000
        image["ProcedureCodeSequence"].is_undefined_length = no_length
        image["ReferencedStudySequence"].is_undefined_length = no_length
        for code in image.ProcedureCodeSequence:
            code.is_undefined_length_sequence_item = no_length
            code["ConceptNameCodeSequence"].is_undefined_length = no_length
        if syntax is not None:
            image.file_meta.TransferSyntaxUID = syntax

    return change


def speaking(characters: str | list[str], name: str) -> Change:
    """A patient and a kernel named in other letters."""

    def change(number: int, image: Dataset) -> None:
        image.SpecificCharacterSet = characters
        image.PatientID = image.ConvolutionKernel = name

    return change


def with_private(n_bytes: int) -> Change:
    """A scanner's own element, before the geometry."""

    def change(number: int, image: Dataset) -> None:
        image.private_block(0x0019, "SCANNER", create=True).add_new(1, "OB", b"\1" * n_bytes)

    return change


def given_as(kind: str, **values: object) -> Change:
    """Elements of another type than the dictionary's."""

    def change(number: int, image: Dataset) -> None:
        for keyword, value in values.items():
            image.add_new(keyword, kind, value)

    return change


QUICK: dict[str, Change] = {
    "plain": lambda number, image: None,
    "implicit": implicit,
    "unsigned": unsigned,
    "signed in 12 bits": signed_in_12_bits,
    "prone": lying_as((-1, 0, 0), (0, -1, 0)),
    "padded": padded(60000, 60010),
    "padding as unsigned": given_as("US", PixelPaddingValue=63536),
    "sequences": with_sequences(no_length=False),
    "sequences without length": with_sequences(no_length=True),
    "implicit sequences": with_sequences(ImplicitVRLittleEndian, no_length=False),
    "implicit ones without length": with_sequences(ImplicitVRLittleEndian, no_length=True),
    "Latin": speaking("ISO_IR 100", "Müller"),
    "Unicode": speaking("ISO_IR 192", "陳"),
    "Japanese": speaking(["", "ISO 2022 IR 87"], "山田"),
    "a large private element": with_private(200_000),
    "empty": lambda number, image: setattr(image, "PixelSpacing", None),
    "many kernels": lambda number, image: setattr(image, "ConvolutionKernel", ["B30f", "3"]),
    "not a number": given_as("LO", RescaleSlope="one"),
    "a number as text": given_as("LO", RescaleSlope="1.5"),
    "without pixels": lambda number, image: delattr(image, "PixelData"),
    "JPEG-LS": lambda number, image: image.compress(JPEGLSLossless, generate_instance_uid=False),
    "RLE": lambda number, image: image.compress(RLELossless, generate_instance_uid=False),
}
LEFT_TO_PYDICOM: dict[str, Change] = {
    "big endian": big_endian,
    "deflated": lambda number, image: setattr(
        image.file_meta, "TransferSyntaxUID", DeflatedExplicitVRLittleEndian
    ),
    "a very large private element": with_private(2**20),
}


@pytest.mark.parametrize("change", QUICK.values(), ids=list(QUICK))
def test_what_is_plain_is_read_as_by_pydicom_without_it(tmp_path, change):
    for file in write_series(tmp_path / "P1", z_mm=(0, 2.5), change=change).iterdir():
        assert outcome(file) == by_pydicom(file)
        assert is_quick(file) == isinstance(by_pydicom(file), tuple)


def old_overlay(number: int, image: Dataset) -> None:
    """Twelve bits hold the values; those above hold something else."""
    image.BitsStored, image.HighBit, image.PixelRepresentation = 12, 11, 0
    image.PixelData = (truth_hu(0) + 1000 | 0x5000).astype("<u2").tobytes()


def followed(number: int, image: Dataset) -> None:
    """Padding behind the pixels."""
    image.add_new(0xFFFCFFFC, "OB", b"\0" * 64)


PIXELS: dict[str, Change] = {
    **QUICK,
    **LEFT_TO_PYDICOM,
    "an old overlay": old_overlay,
    "something behind": followed,
    "inverted": lambda number, image: setattr(image, "PhotometricInterpretation", "MONOCHROME1"),
    "no photometric": lambda number, image: delattr(image, "PhotometricInterpretation"),
    "another high bit": lambda number, image: setattr(image, "HighBit", 12),
    "too few pixels": lambda number, image: setattr(image, "PixelData", image.PixelData[:-2]),
    "too many pixels": lambda number, image: setattr(image, "PixelData", image.PixelData + b"\0\0"),
    "colour": lambda number, image: setattr(image, "SamplesPerPixel", 3),
}


@pytest.mark.parametrize("change", PIXELS.values(), ids=list(PIXELS))
def test_plain_pixels_are_read_as_by_pydicom_or_refused_as_by_it(tmp_path, monkeypatch, change):
    file = write_series(tmp_path / "P1", z_mm=[0], change=change) / "1-01.dcm"
    for header in outcome(file) if isinstance(outcome(file), tuple) else ():
        quick = pixels(header)
        monkeypatch.setattr(series, "_plain", lambda data: None)
        assert np.array_equal(quick, pixels(header))


def pixels(header: headers.Header) -> np.ndarray:
    """Values of a slice, or why there are none."""
    units = dataclasses.replace(
        header, slope=header.slope or 1.0, intercept=header.intercept or 0.0
    )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return series._hounsfield(units)
    except headers.ImagingError as error:
        return np.array(error.rule)


@pytest.mark.parametrize("change", LEFT_TO_PYDICOM.values(), ids=list(LEFT_TO_PYDICOM))
def test_what_is_unusual_is_left_to_pydicom(tmp_path, change):
    for file in write_series(tmp_path / "P1", z_mm=(0, 2.5), change=change).iterdir():
        assert not is_quick(file)
        assert outcome(file) == by_pydicom(file)


def test_a_type_that_is_not_said_is_left_to_pydicom(tmp_path):
    """UN, as archives write what they do not know: its length has four bytes, not two."""
    file = write_series(tmp_path / "P1", z_mm=[0]) / "1-01.dcm"
    said, unsaid = b"\x10\0\x20\0LO\2\0P1", b"\x10\0\x20\0UN\0\0\2\0\0\0P1"
    assert file.read_bytes().count(said) == 1
    file.write_bytes(file.read_bytes().replace(said, unsaid))
    assert not is_quick(file)
    assert outcome(file)[0].patient_id == "P1"


def test_other_objects_and_other_writers_are_read_as_by_pydicom(tmp_path):
    """Segmentation and enhanced CT by highdicom, structure set, disc directory, gdcm's writing."""
    folder = write_series(tmp_path / "P1")
    write_seg(tmp_path / "P1" / "seg.dcm", folder, {"Mass": mask(s2=(3, 8, 4, 9))})
    write_rtstruct(tmp_path / "P1" / "rt.dcm", folder, {"GTV": [(2, [(3, 4), (8, 4), (8, 9)])]})
    write_enhanced(tmp_path / "P1" / "ct", change=lambda image: None)
    write_dicomdir(tmp_path / "P1")
    transcode(folder / "1-04.dcm", JPEGLSLossless)
    for file in (tmp_path / "P1").iterdir():
        assert outcome(file) == by_pydicom(file), file.name


def test_every_header_of_the_real_sample_is_read_as_by_pydicom(hcc_tace_seg_root):
    files = sorted(hcc_tace_seg_root.rglob("*.dcm"))
    assert files
    for file in files[::20]:
        assert outcome(file) == by_pydicom(file), file.name
        assert is_quick(file)


def _written(folder: Path) -> list[bytes]:
    """Files to be damaged: plain, implicit, and with sequences of both kinds."""
    kinds = ("plain", "implicit", "sequences without length", "implicit ones without length")
    kept = []
    for kind in kinds:
        image = ct_slice(0, 0, patient_id="P1")
        QUICK[kind](0, image)
        image.save_as(folder / "whole", enforce_file_format=True)
        kept.append((folder / "whole").read_bytes())
    write_enhanced(folder / "enhanced", (0, 1))
    return [*kept, (folder / "enhanced").read_bytes()]


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> list[bytes]:
    return _written(tmp_path_factory.mktemp("whole"))


TELLING = [b"\xff\xff\xff\xff", b"\xfe\xff\x00\xe0", b"\xfe\xff\x0d\xe0", b"\xfe\xff\xdd\xe0"]
TELLING += [b"SQ", b"UN", b"OB", b"ZZ", b"\0\0", b"\\", b"\x08\0\x05\0", b"\xe0\x7f\x10\0", b"nan"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.integers(0, 4),
    st.floats(0, 1),
    st.one_of(st.binary(min_size=1, max_size=4), st.sampled_from(TELLING)),
    st.sampled_from(["over", "between", "cut out", "cut off"]),
)
def test_what_is_damaged_is_read_as_by_pydicom_or_refused_as_by_it(
    tmp_path, whole, which, share, new, how
):
    """Bytes behind the preamble are overwritten, put in, taken out, or all that follows is lost."""
    data = whole[which]
    at = 128 + int(share * (min(len(data), 3000) - 128))
    end = {"over": at + len(new), "between": at, "cut out": at + len(new), "cut off": len(data)}
    put = b"" if how in ("cut out", "cut off") else new
    file = tmp_path / "damaged"
    file.write_bytes(data[:at] + put + data[end[how] :])
    assert repr(outcome(file)) == repr(by_pydicom(file))
