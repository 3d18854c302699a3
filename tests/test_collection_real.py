"""
The collection's segmentations, made by highdicom on real slices: labels, organs, acquisitions.

Expected Hounsfield units are the files' last bytes (uncompressed signed 16 bit, 512 x 512) plus the
intercept; the organs' places are those of the study's landmarks.csv.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pydicom
import pytest
from dicom_files import uid, write_seg
from test_series import opened

from hcc_utils.imaging import landmarks, organs, roi, series, slices

pytestmark = pytest.mark.real_data

LANDMARKS = Path(__file__).parents[1] / "studies" / "hcc_tace_seg" / "landmarks.csv"
HALF = {"Liver": 15, "Abdominal aorta": 6}
"""Half the width of the square that stands for an organ, around its landmark."""


def near(root, patient_id, z_mm, reach_mm):
    """The headers of slices around a height, from below."""
    folder = series.folder(root / "dicom" / patient_id)
    found = folder.open(next(iter(folder.series)))
    return [h for h in found.slices if abs(h.position_mm[2] - z_mm) <= reach_mm]


def write(folder, headers, change=lambda number, image: None):
    """Copies of slices."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, header in enumerate(headers):
        image = pydicom.dcmread(header.path)
        image.PatientName = ""  # highdicom asks for carets, which the collection's names lack
        change(number, image)
        image.save_as(folder / f"{image.get('AcquisitionNumber')}-{number:02d}.dcm")
    return folder


def stored(header):
    """Hounsfield units without any library between."""
    values = np.frombuffer(header.path.read_bytes()[-2 * 512 * 512 :], "<i2").reshape(512, 512)
    return values.astype(float) + header.intercept


def square(at, half):
    """So many pixels around a (row, column)."""
    row, column = at
    return np.s_[row - half : row + half + 1, column - half : column + half + 1]


@pytest.mark.parametrize(("patient_id", "intercept"), [("HCC_007", 0), ("HCC_048", -1024)])
def test_the_organs_tell_the_phase_with_either_intercept(
    hcc_tace_seg_root, tmp_path, patient_id, intercept
):
    """Three slices; squares on liver and aorta, the mass and the portal vein within the liver's."""
    places = pd.read_csv(LANDMARKS).query("patient_id == @patient_id").set_index("tissue")
    liver, aorta = (tuple(places.loc[name, ["row", "column"]]) for name in ("liver", "aorta"))
    headers = near(hcc_tace_seg_root, patient_id, places.loc["liver", "slice_z_mm"], 2.6)
    assert [header.intercept for header in headers] == [intercept] * 3
    held = {label: np.zeros((3, 512, 512), bool) for label in ("Liver", "Mass", "Portal vein")}
    held["Abdominal aorta"] = np.zeros((3, 512, 512), bool)
    held["Liver"][:, *square(liver, HALF["Liver"])] = True
    held["Abdominal aorta"][:, *square(aorta, HALF["Abdominal aorta"])] = True
    held["Mass"][:, *square((liver[0] + 11, liver[1]), 4)] = True
    held["Portal vein"][:, *square(liver, 5)] = True
    folder = write(tmp_path / patient_id, headers)
    path = write_seg(tmp_path / "1-1.dcm", folder, held)
    table = organs.measured(path, "seg", opened(folder))
    inner = int(np.ceil(2 / headers[0].pixel_spacing_mm[0]))
    shown = held["Liver"] & ~held["Mass"]
    for _ in range(inner):  # a pixel stays whose four neighbours were there
        beside = [np.roll(shown, step, axis) for axis in (1, 2) for step in (-1, 1)]
        shown = shown & np.all(beside, axis=0)
    expected = {
        "liver": [stored(h)[on].mean() for h, on in zip(headers, shown, strict=True)],
        "portal_vein": [stored(h)[square(liver, 5 - inner)].mean() for h in headers],
        "aorta": [
            stored(h)[square(aorta, HALF["Abdominal aorta"] - inner)].mean() for h in headers
        ],
    }
    for tissue, own in table.groupby("tissue"):
        assert own.sort_values("slice_z_mm")["hu"].tolist() == pytest.approx(expected[tissue])
    assert set(table["tissue"]) == set(expected)
    hu = table.groupby("tissue")["hu"].median()
    low, high = landmarks.EXPECTED_HU["liver"][:2]
    assert low < hu["liver"] < high
    assert 0 < hu["aorta"] - hu["liver"] < 120


@pytest.fixture
def two(hcc_tace_seg_root, tmp_path):
    """HCC_015's lesion in two acquisitions of one series; the second is 100 HU brighter."""
    boxes = pd.read_csv(hcc_tace_seg_root / "lesion_boxes.csv").query("patient_id == 'HCC_015'")
    middle = boxes["slice_z_mm"].mean()
    headers = near(hcc_tace_seg_root, "HCC_015", middle, 10)

    def first(_number, image):
        image.AcquisitionNumber = 1

    def second(number, image):
        image.AcquisitionNumber = 2
        image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = uid(15, number)
        image.PixelData = (image.pixel_array + np.int16(100)).astype("<i2").tobytes()

    folder = write(tmp_path / "HCC_015", headers, first)
    write(folder, headers, second)
    return folder, headers, boxes.set_index("sop_instance_uid")


def alone(folder, acquisition):
    """One acquisition's files in a folder."""
    links = folder.parent / f"alone_{acquisition}"
    links.mkdir()
    for file in sorted(folder.glob(f"{acquisition}-*.dcm")):
        (links / file.name).symlink_to(file)
    return links


def masks(headers, boxes):
    """The four labels; the mass is what lesion_boxes.csv has on each slice."""
    labels = ("Mass", "Liver", "Portal vein", "Abdominal aorta")
    held = {label: np.zeros((len(headers), 512, 512), bool) for label in labels}
    held["Liver"][:, 100:300, 60:260] = held["Portal vein"][:, 230:250, 200:220] = True
    held["Abdominal aorta"][:, 247:268, 259:280] = True
    for number, header in enumerate(headers):
        if header.sop_instance_uid in boxes.index:
            box = boxes.loc[header.sop_instance_uid]
            rows = slice(box["row_min"], box["row_max"] + 1)
            held["Mass"][number, rows, box["column_min"] : box["column_max"] + 1] = True
    return held


@pytest.mark.parametrize(("acquisition", "brighter_hu"), [(1, 0), (2, 100)])
def test_of_two_acquisitions_the_segmented_one_is_cut(two, acquisition, brighter_hu):
    """At the same places lie the other's slices; the inventory warns of them."""
    folder, headers, boxes = two
    path = write_seg(folder.parent / "1-1.dcm", alone(folder, acquisition), masks(headers, boxes))
    assert series.folder(folder).inventory["rules"].tolist() == ["duplicate_positions"]
    found = opened(folder)
    cut = slices.lesion_slices(found, roi.from_seg(path, found), margin_pixels=0, size=64)
    marked = [header for header in headers if header.sop_instance_uid in boxes.index]
    assert len(cut.table) == len(marked)
    row = cut.table.iloc[2]
    rows = slice(row["row_min"], row["row_max"] + 1)
    crop = stored(marked[2])[rows, row["column_min"] : row["column_max"] + 1]
    assert cut.pixels_hu[2].mean() == pytest.approx(crop.mean() + brighter_hu, abs=1)
    hu = organs.measured(path, "seg", found).groupby("tissue")["hu"].median()
    aorta = [stored(h)[251:264, 263:276].mean() for h in headers]
    assert min(aorta) + brighter_hu - 5 < hu["aorta"] < max(aorta) + brighter_hu + 5
