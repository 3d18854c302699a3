"""Files that ordinary readers get wrong: right by place, or refused by name."""

from __future__ import annotations

import gc
import io
import os
import re
from pathlib import Path

import gdcm
import numpy as np
import pydicom
import pytest
from dicom_files import cohort_slices, ct_slice, mask, store, truth_hu, uid, write_seg, write_series
from faults import elements
from pydicom.fileset import FileSet
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
from hcc_utils.imaging import roi, series
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


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
def test_a_series_identifier_that_is_none_is_told(tmp_path):
    """By the standard it has digits and dots alone."""

    def change(number, image):
        image.SeriesInstanceUID = "1.2.826.49SH"

    assert rules_of(write_series(tmp_path / "P1", change=change)) == ["odd_identifier"]


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
    """Slice n lies at n / 10 mm and holds 0.2 n + 20 r + c - 1000 HU, by its own intercept."""
    one = ct_slice(0, 0, patient_id="P1")
    one.SOPInstanceUID, one.ImagePositionPatient = uid(1, 99999), [-10.0, -12.0, "12345.0"]
    one.RescaleIntercept = "54321.0"
    with io.BytesIO() as written:
        one.save_as(written, enforce_file_format=True)
        template = written.getvalue()
    folder = tmp_path / "P1"
    folder.mkdir()
    for number in range(10_000):
        data = template.replace(b"1.99999", f"1.{10_000 + number}".encode())
        data = data.replace(b"12345.0", f"{number / 10:07.1f}".encode())
        (folder / f"IM{number:05d}").write_bytes(
            data.replace(b"54321.0", f"{number / 5:07.1f}".encode())
        )
    found = series.folder(folder)
    row = found.inventory.iloc[0]
    said = ["n_files", "n_slices", "slice_spacing_mm", "rules"]
    assert row[said].tolist() == [10_000, 10_000, 0.1, "mixed_rescale"]
    opened_ = found.open(uid(1))
    for number in (0, 1, 5000, 9999):
        name = uid(1, 10_000 + number)
        assert opened_.place(name) == number
        expected = np.maximum(truth_hu(0) + np.float32(number / 5), -1024)
        np.testing.assert_allclose(opened_.hu(name), expected, atol=1e-3)


def test_two_series_in_one_folder_keep_their_own_pixels(tmp_path):
    """The other lies at the same places and holds 7 HU more."""

    def brighter(number, image):
        store(image, (truth_hu(number) + 7).astype("<i2"))

    folder = write_series(tmp_path / "P1")
    write_series(folder, series=2, change=brighter)
    found = series.folder(folder)
    for number in range(6):
        for own, more in ((1, 0), (2, 7)):
            hu = found.open(uid(own)).hu(uid(own, number + 1))
            np.testing.assert_array_equal(hu, truth_hu(number) + more)


def test_names_subfolders_and_loops_of_links_do_not_move_a_pixel(tmp_path):
    """No extension, blanks and umlauts, a folder for each slice, links up and to themselves."""
    folder = write_series(tmp_path / "root" / "Müller, Jörg 1", patient_id="")
    for number, file in enumerate(sorted(folder.glob("*.dcm"))):
        below = folder / "größte Aufnahme" / f"{number} 腹部"
        below.mkdir(parents=True)
        file.rename(below / "I 1")
        (below / "up").symlink_to(tmp_path / "root", target_is_directory=True)
    assert rules_of(folder) == []
    assert_true_pixels(folder)


@pytest.mark.filterwarnings("ignore:Implicitly cleaning up:ResourceWarning")  # pydicom's own
def test_a_disc_with_its_directory_reads_like_the_files(tmp_path):
    """By pydicom's own writer: DICOMDIR with records, folders and names without extension."""

    def recorded(number, image):
        image.StudyDate, image.StudyTime, image.StudyID = "20000101", "120000", "1"
        image.PatientName = "none"

    disc = FileSet()
    for file in sorted(write_series(tmp_path / "P1", change=recorded).iterdir()):
        disc.add(file)
    disc.write(tmp_path / "disc" / "P1")
    del disc
    gc.collect()  # or pydicom's temporary folder is found, and warned of, in another test
    found = series.folder(tmp_path / "disc" / "P1")
    assert (found.not_dicom, found.unreadable) == (1, ())
    assert rules_of(tmp_path / "disc" / "P1") == []
    assert_true_pixels(tmp_path / "disc" / "P1")


def moved(*parts: tuple[int, bytes]):
    """The file after bytes slipped in at these places, counted from its end."""

    def damage(data: bytes) -> bytes:
        for before_end, new in parts:
            data = data[:-before_end] + new + data[-before_end:]
        return data

    return damage


def with_length(keyword: str, length: int):
    """The file after an element's length was changed."""

    def damage(data: bytes) -> bytes:
        (found,) = [e for e in elements.elements(data) if e.keyword == keyword]
        new = length.to_bytes(found.length_size, "little")
        return data[: found.length_at] + new + data[found.value_at :]

    return damage


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        pytest.param(moved((500, b"\0\0")), "2 bytes are left over", id="two bytes slipped in"),
        pytest.param(moved((500, bytes(16))), "follows the pixels", id="16 zeros slipped in"),
        pytest.param(
            moved((500, b"\x10\0" * 4)), "follows the pixels", id="what looks like an element"
        ),
        pytest.param(
            with_length("PixelData", 900), "left over|follows|where none", id="pixels cut by length"
        ),
    ],
)
def test_pixels_that_moved_within_a_file_are_refused(tmp_path, damage, why):
    """Readers take the first bytes for the pixels and leave the rest: all behind would be moved."""
    folder = write_series(tmp_path / "P1")
    file = folder / "1-03.dcm"
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(InputError, match=rf"1-03\.dcm cannot be decoded .*({why})"):
        opened(folder).hu(uid(1, 3))


@pytest.mark.parametrize("value", ["nan", "inf", "1e400"])
@pytest.mark.parametrize(
    "keyword", ["RescaleSlope", "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"]
)
def test_what_is_no_number_is_not_reckoned_with(tmp_path, keyword, value):
    """The file is left out by name; its slice is then missed, never sorted or scaled by NaN."""
    folder = write_series(tmp_path / "P1")
    file = folder / "1-03.dcm"
    data = file.read_bytes()
    (found,) = [e for e in elements.elements(data) if e.keyword == keyword]
    parts = data[found.value_at : found.end].decode().strip().split("\\")
    new = "\\".join([*parts[:-1], value]).encode()
    new += b" " * (len(new) % 2)
    file.write_bytes(elements.replaced(data, found, found.value_at, found.end, new))
    read = series.folder(folder)
    assert (
        f"{file} cannot be read as DICOM (ValueError: {value} is no number)" in (read.unreadable[0])
    )
    with pytest.raises(InputError, match=r"holds no slice .* 1 file\(s\) cannot be read"):
        read.open(uid(1)).hu(uid(1, 3))


def only_last(**values):
    def change(number, image):
        for keyword, value in values.items() if number == 5 else ():
            setattr(image, keyword, value)

    return change


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (only_last(RescaleIntercept=-1), "mixed_rescale"),
        (only_last(RescaleSlope=2), "mixed_rescale"),
        (only_last(RescaleSlope=0), "no_rescale"),
        (only_last(RescaleSlope="1e30"), "no_rescale"),
        (only_last(RescaleIntercept="1e30"), "no_rescale"),
        (lambda number, image: setattr(image, "PixelSpacing", ["1e-9", 1]), "no_spacing"),
        (lambda number, image: setattr(image, "PixelSpacing", [0, 0]), "no_spacing"),
        (lambda number, image: delattr(image, "PixelSpacing"), "no_spacing"),
    ],
)
def test_units_that_differ_or_lack_are_told(tmp_path, change, rule):
    assert rule in rules_of(write_series(tmp_path / "P1", change=change))


def test_a_jitter_of_places_does_not_part_segmentation_and_slices(tmp_path):
    """The CT's slices lie 0.02 mm beside where the segmentation, drawn before, says."""
    folder = write_series(tmp_path / "P1")
    seg = write_seg(tmp_path / "roi.dcm", folder, {"Lesion": mask(s2=(3, 8, 4, 9))})

    def jitter(number, image):
        image.ImagePositionPatient = [-10.02, -11.98, 2.5 * number + 0.02 * (-1) ** number]

    write_series(folder, change=jitter)
    boxes = roi.from_seg(seg, opened(folder))
    assert boxes[["sop_instance_uid", *roi.EDGES]].to_numpy().tolist() == [[uid(1, 3), 3, 8, 4, 9]]


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-100])


BAD_PATIENTS = {
    "cut": ("unreadable_pixels", lambda folder: cut(folder / "1-03.dcm")),
    "empty": ("no_usable_series", lambda folder: [file.unlink() for file in folder.iterdir()]),
    "zeros": ("unresolved_reference", lambda folder: (folder / "1-03.dcm").write_bytes(b"")),
    "report": ("no_usable_series", lambda folder: [f.write_text("x") for f in folder.iterdir()]),
    "scout": (
        "no_usable_series",
        lambda folder: write_series(folder, change=only_all(ImageType=["LOCALIZER"])),
    ),
    "unplaced": (
        "no_position",
        lambda folder: write_series(folder, change=only_all(ImagePositionPatient=None)),
    ),
    "two": ("several_series", lambda folder: write_series(folder, series=2)),
    "no outline": ("no_roi", lambda folder: roi_of(folder).unlink()),
    "torn outline": ("unreadable_roi", lambda folder: cut(roi_of(folder))),
    "no folder": ("no_folder", lambda folder: folder.rename(folder.parent.parent / "elsewhere")),
}
"""Each patient's rule, and how the sound folder is spoilt."""


def only_all(**values):
    return lambda number, image: [setattr(image, key, value) for key, value in values.items()]


def roi_of(folder: Path) -> Path:
    return folder.parent.parent / "roi" / f"{folder.name}.dcm"


def test_all_bad_patients_of_a_centre_are_told_at_once_and_stop_nobody(tmp_path):
    """Each message names the patient or the file, and ends with what to do; the sound two come."""
    names = ["first", *BAD_PATIENTS, "last"]
    for name in names:
        folder = write_series(tmp_path / "dicom" / name, patient_id="")
        write_seg(roi_of(folder), folder, {"Lesion": mask(s2=(3, 8, 4, 9))})
    for name, (_, spoil) in BAD_PATIENTS.items():
        spoil(tmp_path / "dicom" / name)
    cohort = cohort_slices(
        names,
        tmp_path / "dicom",
        "seg",
        tmp_path / "roi",
        chosen_series={},
        margin_pixels=0,
        size=6,
    )
    assert cohort.table["patient_id"].tolist() == ["first", "last"]
    np.testing.assert_array_equal(cohort.pixels_hu, [truth_hu(2)[3:9, 4:10]] * 2)
    expected = [[name, rule] for name, (rule, _) in BAD_PATIENTS.items()]
    assert cohort.problems[["patient_id", "rule"]].to_numpy().tolist() == expected
    for problem in cohort.problems.to_dict("records"):
        assert problem["patient_id"] in problem["message"]
        assert re.search(r"\b(Export|Put|put|Give|Add|Draw|download)\b", problem["message"])
