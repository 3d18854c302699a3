"""Files that ordinary readers get wrong: right by place, or refused by name."""

from __future__ import annotations

from pathlib import Path

import gdcm
import numpy as np
import pydicom
import pytest
from dicom_files import store, truth_hu, uid, write_series
from pydicom.uid import (
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from hcc_utils.checks import InputError
from hcc_utils.imaging import series

GDCM_NAMES = {
    JPEGLosslessSV1: gdcm.TransferSyntax.JPEGLosslessProcess14_1,
    JPEGLossless: gdcm.TransferSyntax.JPEGLosslessProcess14,
    JPEG2000Lossless: gdcm.TransferSyntax.JPEG2000Lossless,
    JPEGLSLossless: gdcm.TransferSyntax.JPEGLSLossless,
    RLELossless: gdcm.TransferSyntax.RLELossless,
}


def opened(folder: Path) -> series.Series:
    found = series.folder(folder)
    return found.open(next(iter(found.series)))


def rules_of(folder: Path) -> list[str]:
    """The rules that a folder's only series breaks."""
    (found,) = series.folder(folder).inventory["rules"]
    return found.split()


def assert_true_pixels(folder: Path) -> None:
    """Every slice, found by its UID, holds exactly the values of its place."""
    found = opened(folder)
    for number in range(len(found.slices)):
        np.testing.assert_array_equal(found.hu(uid(1, number + 1)), truth_hu(number).clip(-1024))


def unsigned(number, image):
    """16 bits; -40000 keeps every stored value above what a signed number can hold."""
    image.RescaleIntercept = -40000
    store(image, (truth_hu(number) + 40000).astype("<u2"))


def signed(number, image):
    store(image, truth_hu(number).astype("<i2"))


def unsigned_in_12_bits(number, image):
    image.BitsStored, image.HighBit, image.RescaleIntercept = 12, 11, -1000
    store(image, (truth_hu(number) + 1000).astype("<u2"))


def signed_in_12_bits(number, image):
    """The four bits above hold the sign once more."""
    image.BitsStored, image.HighBit, image.RescaleIntercept = 12, 11, 500
    store(image, (truth_hu(number) - 500).astype("<i2"))


@pytest.mark.parametrize("syntax", GDCM_NAMES, ids=lambda syntax: syntax.name)
@pytest.mark.parametrize("kind", [unsigned, signed, unsigned_in_12_bits, signed_in_12_bits])
def test_what_gdcm_compressed_holds_the_same_values(tmp_path, kind, syntax):
    folder = write_series(tmp_path / "P1", z_mm=(0, 2.5, 5), change=kind)
    for file in folder.iterdir():
        transcode(file, syntax)
    assert rules_of(folder) == []
    assert_true_pixels(folder)


def transcode(file: Path, syntax: pydicom.uid.UID) -> None:
    """Compress a file in place, by another library than the one that reads it."""
    reader, change, writer = (
        gdcm.ImageReader(),
        gdcm.ImageChangeTransferSyntax(),
        gdcm.ImageWriter(),
    )
    reader.SetFileName(str(file))
    assert reader.Read()
    change.SetTransferSyntax(gdcm.TransferSyntax(GDCM_NAMES[syntax]))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer.SetFileName(str(file))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()
    compressed = pydicom.dcmread(file)
    assert compressed.file_meta.TransferSyntaxUID == syntax
    compressed.RescaleType = "HU"  # it was not there, and gdcm wrote "unspecified"
    compressed.save_as(file)


@pytest.mark.parametrize("syntax", [JPEG2000Lossless, JPEGLosslessSV1, RLELossless])
def test_a_cut_frame_is_never_filled_up(tmp_path, syntax):
    folder = write_series(tmp_path / "P1")
    file = folder / "1-03.dcm"
    transcode(file, syntax)
    image = pydicom.dcmread(file)
    frame = pydicom.encaps.get_frame(image.PixelData, 0, number_of_frames=1)
    image.PixelData = pydicom.encaps.encapsulate([frame[: len(frame) // 2]])
    image.save_as(file)
    with pytest.raises(InputError, match=r"1-03\.dcm cannot be decoded"):
        opened(folder).hu(uid(1, 3))


def big_endian(number, image):
    image.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    store(image, truth_hu(number).astype(">i2"))


def implicit(number, image):
    image.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian


@pytest.mark.parametrize("syntax", [big_endian, implicit])
def test_byte_order_and_implicit_types_do_not_matter(tmp_path, syntax):
    assert_true_pixels(write_series(tmp_path / "P1", change=syntax))
