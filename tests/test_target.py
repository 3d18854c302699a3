"""The target lesion: the longest, what its boxes leave open, and the table's diameter."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from dicom_files import mask, write_seg, write_series
from test_series import opened

from hcc_utils.checks import InputError
from hcc_utils.imaging import marks, roi, slices, target

CROSS = mask(s2=(10, 10, 4, 12)) | mask(s2=(8, 12, 8, 8))


def boxes(*sizes, spacing_mm=1.0):
    """Rows of slices.csv: (patient, lesion, height, width) in pixels, one a slice."""
    rows = [(p, lesion, 10, 9 + high, 20, 19 + wide) for p, lesion, high, wide in sizes]
    return pd.DataFrame(rows, columns=["patient_id", "lesion", *roi.EDGES]).assign(
        pixel_spacing_mm=spacing_mm, longest_mm=np.nan
    )


def chosen(*sizes, **more):
    return target.target_lesion(target.lesion_lengths(boxes(*sizes, **more)))


def agreement(diameter_mm, *sizes):
    patients = pd.DataFrame({"patient_id": ["P1"], "diameter_mm": [diameter_mm]})
    return target.diameter_agrees(chosen(*sizes), patients).iloc[0]


def test_a_box_bounds_the_length_by_its_side_and_its_diagonal():
    """30 x 40 pixels of 0.5 mm: 20 mm the longer side, sqrt(15^2 + 20^2) = 25 mm the diagonal."""
    row = target.lesion_lengths(boxes(("P1", 1, 30, 40), ("P1", 1, 4, 6), spacing_mm=0.5)).iloc[0]
    assert row[["n_slices", "least_mm", "most_mm"]].tolist() == [2, 20, 25]


def test_the_longest_lesion_is_the_target():
    row = chosen(("P1", 1, 12, 12), ("P1", 2, 40, 30), ("P1", 3, 15, 15)).iloc[0]
    assert row[["lesion", "n_lesions", "status", "meaning"]].tolist() == [2, 3, "pass", ""]


def test_it_says_where_boxes_leave_open_which_is_the_longest():
    """The square of 38 has a diagonal of 53.7, longer than the 40 of the other's side."""
    row = chosen(("P1", 1, 40, 30), ("P1", 7, 38, 38)).iloc[0]
    assert row[["lesion", "status"]].tolist() == [1, "warn"]
    assert row["meaning"] == "lesion 7 may be longer: boxes leave it open"


@pytest.mark.parametrize(
    ("high", "wide", "said"),
    [
        (5, 7, "shorter than the 10 mm of mRECIST; kept"),
        (9, 9, "by its box perhaps shorter than the 10 mm of mRECIST; kept"),
        (10, 2, ""),
    ],
    ids=["diagonal 8.6", "diagonal 12.7", "side 10"],
)
def test_a_lesion_below_10_mm_is_flagged_and_kept(high, wide, said):
    row = chosen(("P1", 1, high, wide)).iloc[0]
    assert row["meaning"] == said
    assert row["status"] == ("warn" if said else "pass")


def test_without_pixel_spacing_the_length_is_not_known():
    row = chosen(("P1", 1, 40, 30), spacing_mm=np.nan).iloc[0]
    assert row["status"] == "warn"
    assert "not known" in row["meaning"]


def test_patients_keep_their_order():
    assert chosen(("P2", 1, 20, 20), ("P1", 1, 30, 30))["patient_id"].tolist() == ["P2", "P1"]


def test_the_slices_of_the_target_keep_their_places():
    """Lesion 2 of P1 and lesion 1 of P2: the second, third and last row."""
    table = boxes(("P1", 1, 12, 12), ("P1", 2, 40, 30), ("P1", 2, 20, 20), ("P2", 1, 11, 11))
    targets = target.target_lesion(target.lesion_lengths(table))
    assert target.on_target(table, targets).index.tolist() == [1, 2, 3]


def test_a_missing_column_is_named():
    with pytest.raises(InputError, match="pixel_spacing_mm"):
        target.lesion_lengths(boxes(("P1", 1, 2, 2)).drop(columns="pixel_spacing_mm"))


@pytest.mark.parametrize(
    ("diameter_mm", "status"),
    [(31.9, "warn"), (32.1, "pass"), (59.9, "pass"), (60.1, "warn")],
)
def test_the_tables_diameter_may_be_a_fifth_beyond_the_box(diameter_mm, status):
    """30 x 40 mm: from 40 x 0.8 = 32 to 50 x 1.2 = 60 mm."""
    assert agreement(diameter_mm, ("P1", 1, 30, 40))["status"] == status


def test_a_diameter_in_cm_warns_and_says_what_to_check():
    row = agreement(4.5, ("P1", 1, 30, 40))
    assert row["status"] == "warn"
    assert "check unit" in row["meaning"]


def test_without_a_diameter_in_the_table_nothing_is_passed():
    row = agreement(np.nan, ("P1", 1, 30, 40))
    assert row[["status", "meaning"]].tolist() == ["not measurable", "the table has no diameter"]


def test_a_row_of_pixels_is_as_long_as_its_edges():
    """4 pixels of 0.5 mm in a row: 2 mm; 4 in a column with 2 mm between rows: 8 mm."""
    one = np.zeros((6, 6), bool)
    one[2, 1:5] = True
    assert marks.longest_mm(one, (0.5, 0.5)) == pytest.approx(2.0)
    assert marks.longest_mm(one.T, (2.0, 0.5)) == pytest.approx(8.0)


def test_nothing_marked_has_no_length():
    assert marks.longest_mm(np.zeros((6, 6), bool), (1.0, 1.0)) == 0


def test_a_disc_is_as_long_as_its_diameter():
    """A radius of 20.5 pixels of 0.5 mm: 20.5 mm, to one pixel."""
    rows, columns = np.mgrid[-30:31, -30:31]
    disc = np.hypot(rows, columns) <= 20.5
    assert marks.longest_mm(disc, (0.5, 0.5)) == pytest.approx(20.5, abs=0.5)


def test_without_spacing_an_outline_has_no_length():
    assert np.isnan(marks.longest_mm(np.ones((2, 2), bool), None))


def test_an_outline_measures_what_its_box_only_bounds(tmp_path):
    """A cross of 5 rows and 9 columns of 0.75 mm: 6.75 mm long; its box allows up to 7.7."""
    folder = write_series(tmp_path / "P1")
    seg = write_seg(tmp_path / "P1.dcm", folder, {"Lesion": CROSS})
    table = slices.lesion_slices(opened(folder), roi.from_seg(seg, opened(folder))).table
    (row,) = target.lesion_lengths(table).to_dict("records")
    assert (row["patient_id"], row["lesion"], row["n_slices"]) == ("P1", 1, 1)
    assert row["least_mm"] == row["most_mm"] == pytest.approx(6.75)
    (bounds,) = target.lesion_lengths(table.assign(longest_mm=np.nan)).to_dict("records")
    assert bounds["most_mm"] == pytest.approx(0.75 * np.hypot(5, 9))
