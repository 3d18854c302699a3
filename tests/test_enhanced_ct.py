"""Enhanced CT: one file whose frames are slices, each right by its place."""

from __future__ import annotations

import shutil
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pydicom
import pytest
from dicom_files import AXIAL, COLUMNS, ROWS, ct_slice, truth_hu, uid, write_series
from pydicom.dataset import Dataset
from pydicom.uid import JPEGLSLossless, RLELossless

from hcc_utils.checks import InputError
from hcc_utils.imaging import headers, series, slices

ENHANCED = "1.2.840.10008.5.1.4.1.1.2.1"


def item(**values: object) -> list[Dataset]:
    """A sequence of one item."""
    said = Dataset()
    for keyword, value in values.items():
        setattr(said, keyword, value)
    return [said]


def frame(number: int) -> Dataset:
    """Frame s lies at 2.5 s mm and has an intercept of its own; it stores truth - 10 s."""
    own = Dataset()
    own.PlanePositionSequence = item(ImagePositionPatient=[-10.0, -12.0, 2.5 * number])
    own.PixelValueTransformationSequence = item(
        RescaleSlope=1, RescaleIntercept=10 * number, RescaleType="HU"
    )
    return own


def write_enhanced(path: Path, order=range(6), syntax=None, change=lambda image: None) -> Path:
    """The series of `write_series` in one file, its slices in this order."""
    image = ct_slice(0, 0, patient_id="P1")
    for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "KVP"):
        delattr(image, keyword)
    del image.RescaleSlope, image.RescaleIntercept, image.ConvolutionKernel
    image.SOPClassUID = image.file_meta.MediaStorageSOPClassUID = ENHANCED
    shared = Dataset()
    shared.PlaneOrientationSequence = item(ImageOrientationPatient=list(AXIAL))
    shared.PixelMeasuresSequence = item(PixelSpacing=[0.75, 0.75], SliceThickness=2.5)
    shared.CTImageFrameTypeSequence = item(FrameType=["ORIGINAL", "PRIMARY", "VOLUME", "NONE"])
    shared.CTReconstructionSequence = item(ConvolutionKernel="B30f")
    shared.CTXRayDetailsSequence = item(KVP=120)
    image.SharedFunctionalGroupsSequence = [shared]
    image.PerFrameFunctionalGroupsSequence = [frame(number) for number in order]
    image.NumberOfFrames = len(order)
    stored = np.stack([truth_hu(number) - 10 * number for number in order])
    image.PixelData = stored.astype("<i2").tobytes()
    if syntax is not None:
        image.compress(syntax, generate_instance_uid=False)
    change(image)
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save_as(path, enforce_file_format=True)
    return path


def opened(folder: Path) -> series.Series:
    found = series.folder(folder)
    return found.open(next(iter(found.series)))


@pytest.mark.parametrize("syntax", [None, RLELossless, JPEGLSLossless])
@pytest.mark.parametrize("order", [(0, 1, 2, 3, 4, 5), (5, 0, 4, 1, 3, 2)])
def test_each_frame_holds_the_values_of_its_place(tmp_path, order, syntax):
    write_enhanced(tmp_path / "P1" / "ct", order, syntax)
    found = opened(tmp_path / "P1")
    for place, number in enumerate(range(6)):
        name = f"{uid(1, 1)}#{order.index(number) + 1}"
        assert found.place(name) == place
        np.testing.assert_array_equal(found.hu(name), truth_hu(number).clip(-1024))


def test_padding_is_air_in_each_frame(tmp_path):
    """Stored -2000 is padding, whatever a frame's intercept makes of it: 10 s - 2000 HU."""

    def change(image):
        image.add_new("PixelPaddingValue", "SS", -2000)
        stored = image.pixel_array.copy()
        stored[:, 0, 0] = -2000
        image.PixelData = stored.tobytes()

    write_enhanced(tmp_path / "P1" / "ct", change=change)
    found = opened(tmp_path / "P1")
    assert [header.padding_hu for header in found.slices][::5] == [(-2000, -2000), (-1950, -1950)]
    for number, header in enumerate(found.slices):
        expected = truth_hu(number).clip(-1024)
        expected[0, 0] = -1024
        np.testing.assert_array_equal(found.hu(header.sop_instance_uid), expected)


def test_its_row_counts_one_file_and_six_slices(tmp_path):
    write_enhanced(tmp_path / "P1" / "ct")
    row = series.folder(tmp_path / "P1").inventory.iloc[0]
    said = ["n_files", "n_slices", "slice_spacing_mm", "pixel_spacing_mm", "kernel", "kvp", "rules"]
    assert row[said].tolist() == [1, 6, 2.5, 0.75, "B30f", 120.0, "mixed_rescale"]


def test_what_is_cut_names_file_and_frame(tmp_path):
    write_enhanced(tmp_path / "P1" / "ct", (5, 4, 3, 2, 1, 0))
    box = {"row_min": 8, "row_max": 15, "column_min": 6, "column_max": 13}
    named = {"sop_instance_uid": f"{uid(1, 1)}#2", "lesion": 1, "roi_source": "boxes"}
    roi = pd.DataFrame([named | box | {"longest_mm": np.nan}])
    cut = slices.lesion_slices(opened(tmp_path / "P1"), roi, margin_pixels=0, size=8)
    named = cut.table[["sop_instance_uid", "frame_number", "slice_z_mm"]].iloc[0]
    assert named.tolist() == [uid(1, 1), 2, 10.0]
    np.testing.assert_array_equal(cut.pixels_hu[0], truth_hu(4)[8:16, 6:14])


def test_what_highdicom_converted_reads_as_before(tmp_path):
    """Another writer: six classic slices in one Legacy Converted Enhanced CT."""
    from highdicom.legacy import LegacyConvertedEnhancedCTImage

    folder = write_series(tmp_path / "classic")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the small slices lack attributes that it copies
        converted = LegacyConvertedEnhancedCTImage(
            [pydicom.dcmread(file) for file in folder.iterdir()], uid(5), 5, uid(5, 1), 1
        )
    (tmp_path / "P1").mkdir()
    converted.save_as(tmp_path / "P1" / "ct.dcm")
    found = opened(tmp_path / "P1")
    for number, header in enumerate(found.slices):
        np.testing.assert_array_equal(
            found.hu(header.sop_instance_uid), truth_hu(number).clip(-1024)
        )


def test_only_the_frame_that_is_needed_is_read(tmp_path):
    """The last frame is gone: the others are read all the same, and its own loss is told."""
    file = write_enhanced(tmp_path / "P1" / "ct")
    file.write_bytes(file.read_bytes()[: -ROWS * COLUMNS])
    found = opened(tmp_path / "P1")
    np.testing.assert_array_equal(found.hu(f"{uid(1, 1)}#3"), truth_hu(2))
    with pytest.raises(InputError, match="ct cannot be decoded"):
        found.hu(f"{uid(1, 1)}#6")


def test_frames_that_are_not_described_are_refused(tmp_path):
    def change(image):
        del image.PerFrameFunctionalGroupsSequence[5]

    file = write_enhanced(tmp_path / "P1" / "ct", change=change)
    with pytest.raises(headers.ImagingError, match="it describes 5 of its 6 frames"):
        headers.read(file)


def test_two_phases_in_one_file_are_told(tmp_path):
    def change(image):
        for groups, z in zip(image.PerFrameFunctionalGroupsSequence, (0, 2.5, 5) * 2, strict=True):
            groups.PlanePositionSequence[0].ImagePositionPatient = [-10.0, -12.0, z]

    write_enhanced(tmp_path / "P1" / "ct", change=change)
    assert series.folder(tmp_path / "P1").inventory["rules"].tolist() == [
        "mixed_rescale duplicate_positions"
    ]


def test_a_copied_file_counts_once(tmp_path):
    file = write_enhanced(tmp_path / "P1" / "ct")
    shutil.copy(file, tmp_path / "P1" / "again")
    row = series.folder(tmp_path / "P1").inventory.iloc[0]
    assert row[["n_files", "n_slices", "rules"]].tolist() == [2, 6, "repeated_files mixed_rescale"]
