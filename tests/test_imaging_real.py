"""
The real sample: places found by looking at pictures of these slices, with a box drawn there.

Ranges in HU are those of any textbook: air -1000, fat about -100, enhanced liver and blood well
above water; in the portal phase the aorta is at least as bright as the liver.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from hcc_utils.imaging import preprocessing, roi, series, slices

pytestmark = pytest.mark.real_data

AIR, FAT, LIVER, AORTA = (-1024, -880), (-130, -60), (80, 220), (130, 260)

PLACES = [
    ("HCC_007", -160.0, {"air": (30, 256), "fat": (285, 318), "liver": (130, 328)}, (235, 290)),
    ("HCC_009", -304.0, {"air": (30, 256), "fat": (118, 370), "liver": (240, 120)}, (297, 256)),
    ("HCC_015", -165.53, {"air": (20, 256), "fat": (70, 248), "liver": (200, 115)}, (257, 269)),
    ("HCC_048", -261.0, {"air": (40, 256), "fat": (320, 322), "liver": (160, 270)}, (265, 277)),
]
RANGES = {"air": AIR, "fat": FAT, "liver": LIVER}


@pytest.fixture(scope="module")
def opened(hcc_tace_seg_root):
    """A function from a patient to the one series."""

    def open_one(patient_id):
        folder = series.folder(hcc_tace_seg_root / "dicom" / patient_id)
        return folder.open(next(iter(folder.series)))

    return open_one


def mean_hu(pixels, row, column):
    """Mean of 9 x 9 pixels."""
    return float(pixels[row - 4 : row + 5, column - 4 : column + 5].mean())


@pytest.mark.parametrize(
    ("patient_id", "z_mm", "places", "aorta"), PLACES, ids=lambda v: str(v)[:7]
)
def test_anatomy_has_its_hounsfield_units(opened, patient_id, z_mm, places, aorta):
    """Three series have the intercept 0 and HCC_048 has -1024: all four must come out alike."""
    found = opened(patient_id)
    header = min(found.slices, key=lambda header: abs(header.position_mm[2] - z_mm))
    pixels = found.hu(header.sop_instance_uid)
    for tissue, place in places.items():
        low, high = RANGES[tissue]
        assert low < mean_hu(pixels, *place) < high, tissue
    assert AORTA[0] < mean_hu(pixels, *aorta) < AORTA[1]
    assert mean_hu(pixels, *aorta) > mean_hu(pixels, *places["liver"])


@pytest.mark.parametrize(("patient_id", "intercept"), [("HCC_009", 0), ("HCC_048", -1024)])
def test_pixels_are_the_files_last_bytes(opened, patient_id, intercept):
    """Uncompressed signed 16 bit, 512 x 512, at the end of the file: no library between."""
    header = (found := opened(patient_id)).slices[30]
    stored = np.frombuffer(header.path.read_bytes()[-2 * 512 * 512 :], "<i2").reshape(512, 512)
    expected = np.maximum(stored.astype(float) + intercept, -1024)
    np.testing.assert_array_equal(found.hu(header.sop_instance_uid), expected)


def test_inventory_names_the_mismatch(hcc_tace_seg_root):
    """Counts and spacing from the sample's README; Patient_01 stands in HCC_048's headers."""
    table = series.inventory(hcc_tace_seg_root / "dicom", workers=1)
    assert table["patient_id"].tolist() == ["HCC_007", "HCC_009", "HCC_015", "HCC_048"]
    assert table["n_slices"].tolist() == [75, 69, 62, 89]
    assert set(table["slice_spacing_mm"]) == {2.5}
    assert table["status"].tolist() == ["pass", "pass", "pass", "warn"]
    assert table["rules"].tolist() == ["", "", "", "patient_id_mismatch"]


def test_every_box_gives_its_slice(hcc_tace_seg_root):
    """40 + 43 + 12 rows in lesion_boxes.csv; HCC_048 has none and must say so."""
    boxes = pd.read_csv(hcc_tace_seg_root / "lesion_boxes.csv")
    cohort = preprocessing.cohort_slices(
        ["HCC_007", "HCC_009", "HCC_015", "HCC_048"],
        hcc_tace_seg_root / "dicom",
        "boxes",
        hcc_tace_seg_root / "lesion_boxes.csv",
        chosen_series={},
        workers=1,
    )
    assert cohort.table.groupby("patient_id").size().tolist() == [40, 43, 12]
    same = cohort.table.merge(boxes, on=["patient_id", "sop_instance_uid", *roi.EDGES])
    np.testing.assert_allclose(same["slice_z_mm_x"], same["slice_z_mm_y"], atol=1e-5)
    assert len(same) == len(boxes)
    assert cohort.problems[["patient_id", "rule"]].to_numpy().tolist() == [["HCC_048", "no_roi"]]


def test_a_lesion_is_tissue_darker_than_the_liver(opened, hcc_tace_seg_root):
    """HCC_007 at z -160: the mass, seen darker than the liver, fills the middle of its crop."""
    found = opened("HCC_007")
    boxes = roi.from_boxes(hcc_tace_seg_root / "lesion_boxes.csv", "HCC_007")
    cut = slices.lesion_slices(found, boxes)
    number = cut.table.index[cut.table["slice_z_mm"] == -160][0]
    lesion = mean_hu(cut.pixels_hu[number], 64, 64)
    sop = cut.table["sop_instance_uid"][number]
    assert 60 < lesion < mean_hu(found.hu(sop), 130, 328) - 15
