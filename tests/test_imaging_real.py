"""
The real sample: places found by looking at pictures of these slices, with a box drawn there.

They stand in the study's own landmarks.csv; in the portal phase the aorta is at least as bright as
the liver.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from dicom_files import cohort_slices

from hcc_utils.imaging import landmarks, roi, series, slices
from hcc_utils.study.manifest import Manifest

pytestmark = pytest.mark.real_data

STUDY = Path(__file__).parents[1] / "studies" / "hcc_tace_seg" / "manifest.yaml"
PATIENTS = ["HCC_007", "HCC_009", "HCC_015", "HCC_048"]


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


def test_anatomy_has_its_hounsfield_units(hcc_tace_seg_root):
    """Three series have the intercept 0 and HCC_048 has -1024: all four must come out alike."""
    patients = pd.DataFrame({"patient_id": PATIENTS, "centre": "hcc_tace_seg"})
    found = landmarks.measured(Manifest.read(STUDY), patients)
    assert found["problem"].eq("").all()
    assert found["inside"].all(), found[~found["inside"]]
    hu = found.pivot_table("hu", "patient_id", "tissue")
    assert hu.shape == (4, 4)
    assert (hu["air"] < hu["fat"] - 750).all()
    assert (hu["aorta"] > hu["liver"]).all()
    assert found.groupby("patient_id")["rescale_intercept"].first().tolist() == [0, 0, 0, -1024]


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
    assert table["patient_id"].tolist() == PATIENTS
    assert table["n_slices"].tolist() == [75, 69, 62, 89]
    assert set(table["slice_spacing_mm"]) == {2.5}
    assert table["status"].tolist() == ["pass", "pass", "pass", "warn"]
    assert table["rules"].tolist() == ["", "", "", "patient_id_mismatch"]


def test_every_box_gives_its_slice(hcc_tace_seg_root):
    """40 + 43 + 12 rows in lesion_boxes.csv; HCC_048 has none and must say so."""
    boxes = pd.read_csv(hcc_tace_seg_root / "lesion_boxes.csv")
    cohort = cohort_slices(
        PATIENTS,
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
    boxes = roi.from_boxes(hcc_tace_seg_root / "lesion_boxes.csv", found)
    cut = slices.lesion_slices(found, boxes)
    number = cut.table.index[cut.table["slice_z_mm"] == -160][0]
    lesion = mean_hu(cut.pixels_hu[number], 64, 64)
    sop = cut.table["sop_instance_uid"][number]
    assert 60 < lesion < mean_hu(found.hu(sop), 130, 328) - 15
