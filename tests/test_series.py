"""Series: what a folder holds, which rules it breaks, Hounsfield units by place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
from dicom_files import ROWS, ct_slice, store, truth_hu, uid, write_series
from pydicom.uid import MPEG2MPML, DeflatedExplicitVRLittleEndian, JPEGLSLossless, RLELossless

from hcc_utils.checks import InputError
from hcc_utils.imaging import series


def only_row(folder: Path):
    """The one row that an inventory has for a folder's series."""
    table = series.folder(folder).inventory
    assert len(table) == 1
    return table.iloc[0]


def opened(folder: Path) -> series.Series:
    found = series.folder(folder)
    return found.open(next(iter(found.series)))


def assert_true_pixels(folder: Path) -> None:
    """Every slice, found by its UID, holds exactly the values of its place."""
    found = opened(folder)
    for number in range(len(found.slices)):
        np.testing.assert_array_equal(
            found.hu(uid(1, number + 1)), truth_hu(number).clip(-1024), err_msg=f"slice {number}"
        )


def test_a_plain_series_passes(tmp_path):
    row = only_row(write_series(tmp_path / "P1"))
    assert row.to_dict() == {
        "patient_id": "P1",
        "study_instance_uid": uid(900),
        "series_instance_uid": uid(1),
        "n_files": 6,
        "n_listed": 0,
        "n_slices": 6,
        "phase": "",
        "slice_spacing_mm": 2.5,
        "pixel_spacing_mm": 0.75,
        "kernel": "STANDARD",
        "kvp": 120.0,
        "transfer_syntax": "Explicit VR Little Endian",
        "status": "pass",
        "rules": "",
    }


def tilted(number, image):
    """15 degrees: each slice is shifted by tan(15°) x 2.5 mm along its columns."""
    image.ImagePositionPatient = [-10, -12 + 2.5 * number * np.tan(np.radians(15)), 2.5 * number]


def coronal(number, image):
    image.ImageOrientationPatient = [1, 0, 0, 0, 0, -1]
    image.ImagePositionPatient = [0, 2.5 * number, 0]


def second_acquisition(number, image):
    """Slices 3, 4 and 5 lie where 0, 1 and 2 do: two phases under one series."""
    image.ImagePositionPatient = [-10, -12, 2.5 * (number % 3)]


def without(keyword):
    return lambda number, image: delattr(image, keyword)


def with_values(last_only=False, **values):
    def change(number, image):
        if number == 5 or not last_only:
            for keyword, value in values.items():
                setattr(image, keyword, value)

    return change


LAYOUTS = [
    pytest.param({"z_mm": (12.5, 10, 7.5, 5, 2.5, 0)}, "", id="stored upside down"),
    pytest.param({"change": coronal}, "", id="coronal"),
    pytest.param({"z_mm": (0, 2.52, 5, 7.48, 10, 12.5)}, "", id="jitter of 0.02 mm"),
    pytest.param({"z_mm": (0, 2.5, 5, 10, 12.5, 15)}, "missing_slices", id="one slice missing"),
    pytest.param({"z_mm": (0, 2.5, 5, 8, 11, 14)}, "uneven_spacing", id="uneven spacing"),
    pytest.param({"change": tilted}, "gantry_tilt", id="tilt of 15 degrees"),
    pytest.param({"change": second_acquisition}, "duplicate_positions", id="two phases in one"),
    pytest.param(
        {"change": with_values(PhotometricInterpretation="MONOCHROME1")}, "", id="MONOCHROME1"
    ),
    pytest.param({"patient_id": "Patient_01"}, "patient_id_mismatch", id="another PatientID"),
    pytest.param({"change": with_values(PatientID="")}, "", id="PatientID emptied"),
    pytest.param(
        {"change": with_values(LossyImageCompression="01")}, "lossy_compression", id="lossy once"
    ),
]


@pytest.mark.parametrize(("options", "rules"), LAYOUTS)
def test_layout_is_named_and_pixels_stay_right(tmp_path, options, rules):
    folder = write_series(tmp_path / "P1", **options)
    assert only_row(folder)[["status", "rules"]].tolist() == ["warn" if rules else "pass", rules]
    assert_true_pixels(folder)


REFUSED = [
    pytest.param(with_values(Modality="MR"), "not_ct", id="MR"),
    pytest.param(
        with_values(SOPClassUID="1.2.840.10008.5.1.4.1.1.7"), "secondary_capture", id="screenshot"
    ),
    pytest.param(with_values(BurnedInAnnotation="YES"), "burned_in_annotation", id="burned in"),
    pytest.param(
        with_values(ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]), "localizer", id="scout"
    ),
    pytest.param(with_values(NumberOfFrames=6), "multi_frame", id="multi-frame"),
    pytest.param(without("ImagePositionPatient"), "no_position", id="no position"),
    pytest.param(without("RescaleIntercept"), "no_rescale", id="no rescale"),
    pytest.param(with_values(RescaleType="MGML"), "not_hounsfield", id="iodine map"),
    pytest.param(
        with_values(last_only=True, PixelSpacing=[0.8, 0.8]), "mixed_spacing", id="mixed spacing"
    ),
    pytest.param(
        with_values(last_only=True, ImageOrientationPatient=[0, 1, 0, 0, 0, -1]),
        "mixed_orientation",
        id="mixed orientation",
    ),
    pytest.param(
        with_values(last_only=True, SOPInstanceUID=uid(1, 1)),
        "conflicting_files",
        id="UID twice",
    ),
]


@pytest.mark.parametrize(("change", "rule"), REFUSED)
def test_what_cannot_be_used_is_refused_by_name(tmp_path, change, rule):
    folder = write_series(tmp_path / "P1", change=change)
    row = only_row(folder)
    assert (row["status"], row["rules"].split()[0]) == ("refuse", rule)
    with pytest.raises(InputError, match=r"P1: the series .* cannot be used: .*Export it once"):
        opened(folder)


def test_one_slice_is_no_series(tmp_path):
    assert only_row(write_series(tmp_path / "P1", z_mm=[0]))["rules"] == "single_file"


def test_a_secondary_axial_image_is_no_screenshot(tmp_path):
    """ORIGINAL / SECONDARY in ImageType is a reconstruction, as in two of the real patients."""
    change = with_values(ImageType=["ORIGINAL", "SECONDARY", "AXIAL"])
    assert only_row(write_series(tmp_path / "P1", change=change))["status"] == "pass"


def test_visible_light_is_no_screenshot(tmp_path):
    """...1.1.77.1.4 (photograph) only begins like ...1.1.7 (secondary capture)."""
    change = with_values(SOPClassUID="1.2.840.10008.5.1.4.1.1.77.1.4")
    row = only_row(write_series(tmp_path / "P1", change=change))
    assert "secondary_capture" not in row["rules"]


def unsigned(number, image):
    """As most scanners write: 24 stored with intercept -1024 is -1000 HU, not 64536."""
    image.RescaleIntercept = -1024
    store(image, (truth_hu(number) + 1024).astype("<u2"))


def own_slope(number, image):
    """Each slice has a slope of its own; 500 s + 20 r + c - 1000 = (4 x stored) / 4 and so on."""
    image.RescaleSlope = 0.25 if number % 2 else 0.5
    image.RescaleIntercept = -1000
    store(image, ((truth_hu(number) + 1000) / float(image.RescaleSlope)).astype("<i2"))


def twelve_bits(number, image):
    """12 bit unsigned with an old overlay in the four bits above."""
    image.BitsStored, image.HighBit, image.RescaleIntercept = 12, 11, -1024
    store(image, ((truth_hu(number) + 1024) | 0xA000).astype("<u2"))


def twelve_bits_signed(number, image):
    """12 bit signed, the bits above left empty: -1000 is stored as 3096."""
    image.BitsStored, image.HighBit = 12, 11
    store(image, (truth_hu(number).clip(None, 2047) & 0x0FFF).astype("<i2"))


@pytest.mark.parametrize("change", [unsigned, own_slope, twelve_bits])
def test_stored_values_become_hounsfield_units(tmp_path, change):
    folder = write_series(tmp_path / "P1", change=change)
    assert_true_pixels(folder)


def test_the_sign_of_twelve_bits_is_kept(tmp_path):
    found = opened(write_series(tmp_path / "P1", change=twelve_bits_signed))
    np.testing.assert_array_equal(found.hu(uid(1, 1)), truth_hu(0))


@pytest.mark.parametrize("syntax", [JPEGLSLossless, RLELossless, DeflatedExplicitVRLittleEndian])
def test_compressed_series_hold_the_same_values(tmp_path, syntax):
    def change(number, image):
        if syntax.is_deflated:
            image.file_meta.TransferSyntaxUID = syntax
        else:
            image.compress(syntax, generate_instance_uid=False)

    folder = write_series(tmp_path / "P1", change=change)
    assert only_row(folder)["transfer_syntax"] == syntax.name
    assert_true_pixels(folder)


def test_padding_is_air(tmp_path):
    """A stored -2000 with intercept -1024 is -3024 HU: outside the scanner's field."""

    def change(number, image):
        image.RescaleIntercept = -1024
        store(image, np.full((ROWS, 20), -2000, "<i2"))

    assert set(opened(write_series(tmp_path / "P1", change=change)).hu(uid(1, 1)).flat) == {-1024}


def test_slices_are_sorted_along_the_normal(tmp_path):
    """Of a head-first and a coronal series: by z, and by minus y (x cross -z = y)."""
    upside_down = opened(write_series(tmp_path / "P1", z_mm=(5, 2.5, 0)))
    assert [header.position_mm[2] for header in upside_down.slices] == [0, 2.5, 5]
    backwards = opened(write_series(tmp_path / "P2", change=coronal))
    assert [header.position_mm[1] for header in backwards.slices] == [0, 2.5, 5, 7.5, 10, 12.5]


def test_two_series_in_one_folder_stay_apart(tmp_path):
    write_series(tmp_path / "P1")
    write_series(tmp_path / "P1", series=2, z_mm=(0, 5, 10))
    found = series.folder(tmp_path / "P1")
    assert found.inventory["n_files"].tolist() == [6, 3]
    assert len(found.open(uid(2)).slices) == 3


def test_a_copied_file_counts_once(tmp_path):
    folder = write_series(tmp_path / "P1")
    (folder / "copy.dcm").write_bytes((folder / "1-01.dcm").read_bytes())
    row = only_row(folder)
    assert row[["n_files", "n_slices", "rules"]].tolist() == [7, 6, "repeated_files"]
    assert len(opened(folder).slices) == 6


def test_files_that_are_not_dicom_are_counted(tmp_path):
    folder = write_series(tmp_path / "root" / "P1")
    (folder / "report.txt").write_text("not an image")
    (tmp_path / "root" / "LICENSE").write_text("CC BY 4.0")
    table = series.inventory(tmp_path / "root", workers=1)
    assert table.attrs["not_dicom"] == 2
    assert table["status"].tolist() == ["pass"]


@pytest.mark.parametrize(
    "content",
    [b"", b"x" * 200, b"\0" * 128 + b"DICM" + b"\x08\x00\x05"],
    ids=["", "text", "cut"],
)
def test_an_unreadable_file_has_a_row(tmp_path, content):
    folder = write_series(tmp_path / "P1")
    (folder / "broken.dcm").write_bytes(content)
    table = series.folder(folder).inventory
    assert table[["n_files", "status", "rules"]].to_numpy().tolist() == [
        [6, "pass", ""],
        [1, "refuse", "unreadable_file"],
    ]


def test_cut_pixel_data_are_named(tmp_path):
    folder = write_series(tmp_path / "P1")
    file = folder / "1-03.dcm"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(InputError, match=r"1-03\.dcm cannot be decoded .*Export it"):
        opened(folder).hu(uid(1, 3))


def test_cut_jpeg_ls_is_named(tmp_path):
    """The compressed frame ends early: no decoder may fill the rest without a word."""

    def change(number, image):
        image.compress(JPEGLSLossless, generate_instance_uid=False)

    folder = write_series(tmp_path / "P1", change=change)
    image = pydicom.dcmread(folder / "1-03.dcm")
    frame = pydicom.encaps.get_frame(image.PixelData, 0, number_of_frames=1)
    image.PixelData = pydicom.encaps.encapsulate([frame[: len(frame) // 2]])
    image.save_as(folder / "1-03.dcm")
    with pytest.raises(InputError, match=r"1-03\.dcm cannot be decoded"):
        opened(folder).hu(uid(1, 3))


def test_a_compression_without_decoder_is_refused_at_once(tmp_path):
    def change(number, image):
        image.PixelData = pydicom.encaps.encapsulate([b"\xff\xd8\xff\xd9"])
        image["PixelData"].is_undefined_length = True
        image.file_meta.TransferSyntaxUID = MPEG2MPML

    assert only_row(write_series(tmp_path / "P1", change=change))["rules"] == "no_decoder"


def test_subfolders_links_and_names_do_not_matter(tmp_path):
    """Files without extension, in a folder with blanks and umlauts, beside a link to itself."""
    folder = write_series(tmp_path / "root" / "Müller 1" / "Bäuche" / "CT")
    for file in folder.glob("*.dcm"):
        file.rename(file.with_suffix(""))
    (folder / "again").symlink_to(tmp_path / "root", target_is_directory=True)
    row = series.inventory(tmp_path / "root", workers=1).iloc[0]
    assert row[["patient_id", "n_files"]].tolist() == ["Müller 1", 6]


def test_two_processes_give_the_same_table_in_the_same_order(tmp_path):
    for name in ("P3", "P1", "P2"):
        write_series(tmp_path / name)
    steps = []
    both = series.inventory(tmp_path, workers=2, progress=lambda *step: steps.append(step))
    assert both.equals(series.inventory(tmp_path, workers=1))
    assert both["patient_id"].tolist() == ["P1", "P2", "P3"]
    assert steps == [(1, 3), (2, 3), (3, 3)]


def test_an_unknown_series_or_folder_is_named(tmp_path):
    folder = write_series(tmp_path / "P1")
    with pytest.raises(InputError, match="holds no series 9"):
        series.folder(folder).open("9")
    with pytest.raises(InputError, match="is not a folder"):
        series.folder(tmp_path / "P2")
    with pytest.raises(InputError, match="is not a folder"):
        series.inventory(tmp_path / "nowhere")


def test_a_file_changed_since_is_named(tmp_path):
    folder = write_series(tmp_path / "P1")
    found = opened(folder)
    other = ct_slice(9, 0, patient_id="P1")
    other.save_as(folder / "1-01.dcm", enforce_file_format=True)
    with pytest.raises(InputError, match="has changed since"):
        found.hu(uid(1, 1))
