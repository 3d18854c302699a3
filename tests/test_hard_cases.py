"""Files that ordinary readers get wrong: right by place, or refused by name."""

from __future__ import annotations

import os
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
from hcc_utils.study import results

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


def lying_as(right, down):
    """Slices along their normal in a patient who lies another way."""

    def change(number, image):
        place = np.array([-10.0, -12.0, 0.0]) + 2.5 * number * np.cross(right, down)
        image.ImagePositionPatient = place.tolist()
        image.ImageOrientationPatient = [*right, *down]
        image.InstanceNumber = 6 - number

    return change


@pytest.mark.parametrize(
    ("right", "down"),
    [
        pytest.param((-1, 0, 0), (0, -1, 0), id="head first prone"),
        pytest.param((-1, 0, 0), (0, 1, 0), id="feet first supine"),
        pytest.param((1, 0, 0), (0, -1, 0), id="feet first prone"),
    ],
)
def test_however_the_patient_lies_the_pixels_are_those_of_the_slice(tmp_path, right, down):
    """Slice numbers run along the normal; InstanceNumber, against it, is never used."""
    folder = write_series(tmp_path / "P1", change=lying_as(right, down))
    assert rules_of(folder) == []
    assert_true_pixels(folder)
    wanted = [uid(1, number + 1) for number in range(6)]
    assert [header.sop_instance_uid for header in opened(folder).slices] == wanted


def padded(value: int, limit: int | None = None):
    """Four stored values are padding: -3 to 0 in the corner of each slice, elsewhere never."""

    def change(number, image):
        stored = truth_hu(number) + 5000
        stored[0, :4] = [value, value, value, value if limit is None else limit]
        image.RescaleIntercept = -5000
        image.PixelPaddingValue = value
        if limit is not None:
            image.PixelPaddingRangeLimit = limit
        store(image, stored.astype("<u2"))

    return change


@pytest.mark.parametrize("change", [padded(60000), padded(60000, 60010)], ids=["one", "range"])
def test_padding_above_tissue_is_air_too(tmp_path, change):
    """A stored 60000 would be 55000 HU: metal where the scanner saw nothing."""
    hu = opened(write_series(tmp_path / "P1", change=change)).hu(uid(1, 3))
    assert hu[0, :4].tolist() == [-1024.0] * 4
    np.testing.assert_array_equal(hu[1:], truth_hu(2)[1:])


def test_a_negative_padding_value_may_be_written_as_unsigned(tmp_path):
    """GE writes 63536 for -2000; a slope of 0.1 would lift it to -200 HU, which is fat."""

    def change(number, image):
        stored = truth_hu(number) * 10
        stored[0, 0] = -2000
        image.RescaleSlope = 0.1
        image.add_new("PixelPaddingValue", "US", 63536)
        store(image, stored.astype("<i2"))

    assert rules_of(write_series(tmp_path / "P1", change=change)) == ["padding_among_tissue"]


@pytest.mark.parametrize(("hu", "rules"), [(-1024, []), (0, ["padding_among_tissue"]), (4000, [])])
def test_padding_that_tissue_could_be_is_told_and_kept(tmp_path, hu, rules):
    def change(number, image):
        image.PixelPaddingValue = hu

    folder = write_series(tmp_path / "P1", change=change)
    assert rules_of(folder) == rules
    assert_true_pixels(folder)


def test_slices_of_two_frames_of_reference_are_told(tmp_path):
    def change(number, image):
        image.FrameOfReferenceUID = uid(901, number // 3)

    assert rules_of(write_series(tmp_path / "P1", change=change)) == ["mixed_frame_of_reference"]


@pytest.mark.parametrize("name", ["IM0007", "IM0007.dcm"])
def test_a_file_without_a_byte_is_told(tmp_path, name):
    """Without an extension too: that is how archives write images, and copies end early."""
    folder = write_series(tmp_path / "P1")
    (folder / name).write_bytes(b"")
    assert series.folder(folder).unreadable[0].startswith(f"{folder / name} cannot be read")


def test_a_copy_that_ended_in_the_pixels_is_told_from_its_header(tmp_path):
    folder = write_series(tmp_path / "P1")
    file = folder / "1-03.dcm"
    file.write_bytes(file.read_bytes()[:-100])
    assert rules_of(folder) == ["cut_files"]
    with pytest.raises(InputError, match=r"1-03\.dcm cannot be decoded"):
        opened(folder).hu(uid(1, 3))


def test_links_to_nowhere_and_to_themselves_are_told(tmp_path):
    folder = write_series(tmp_path / "P1")
    (folder / "gone").symlink_to(tmp_path / "elsewhere")
    (folder / "loop").symlink_to("loop")
    found = series.folder(folder)
    assert [said.split(" cannot")[0] for said in found.unreadable] == [
        str(folder / "gone"),
        str(folder / "loop"),
    ]
    assert len(found.usable) == 1


def test_names_that_are_no_unicode_are_written_down_all_the_same(tmp_path):
    """As on a disc that Windows wrote in Latin-1: the byte FC is no UTF-8."""
    folder = tmp_path / "root" / os.fsdecode(b"M\xfcller")
    write_series(folder, patient_id="P1")
    (folder / os.fsdecode(b"B\xe4uche.dcm")).write_bytes(b"")
    table = series.inventory(tmp_path / "root", workers=1)
    results.write_table(table, tmp_path / "inventory.csv")
    assert "ller" in (tmp_path / "inventory.csv").read_text("utf-8")


def test_ten_thousand_files_in_one_folder(tmp_path):
    """One slice and 9999 links to it: all are counted, one slice remains."""
    folder = write_series(tmp_path / "P1", z_mm=[0])
    for number in range(9999):
        os.link(folder / "1-01.dcm", folder / f"IM{number:05d}")
    table = series.folder(folder).inventory
    assert table[["n_files", "n_slices"]].to_numpy().tolist() == [[10_000, 1]]
