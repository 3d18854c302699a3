"""Motion between slices: what was moved by a known way is found; what only changes shape is not."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from hcc_utils.imaging import motion, roi, rules, series

SPACING = (0.8, 0.8)


def body(rows=256, columns=320, grow=0.0):
    """An ellipse of fat around one of muscle, with a liver and a spine, lying on a table."""
    row, column = np.mgrid[:rows, :columns]

    def within(centre_row, centre_column, height, width):
        return np.hypot((row - centre_row) / height, (column - centre_column) / width) < 1

    hu = np.full((rows, columns), -1000.0, np.float32)
    hu[within(120, 160, 90 + grow, 130 + grow)] = -100
    hu[within(120, 160, 78 + grow, 118 + grow)] = 50
    hu[within(110, 110, 45 + grow, 55 + grow)] = 110
    hu[within(175, 160, 18, 20)] = 300
    hu[230:233] = -300
    return hu


def moved(hu, rows, columns):
    """Everything but the table, by whole pixels."""
    shifted = np.roll(hu, (rows, columns), axis=(0, 1))
    shifted[225:] = hu[225:]
    return shifted


def largest(slices, *, heights=None, spacing=SPACING, apart=2.5):
    heights = apart * np.arange(len(slices)) if heights is None else heights
    seen = motion.Motion(apart)
    for height, hu in zip(heights, slices, strict=True):
        seen.see(height, hu, spacing)
    return seen.largest_mm


@pytest.mark.parametrize("spacing", [(0.8, 0.8), (0.6, 1.2)])
@pytest.mark.parametrize(
    ("rows", "columns"), [(0, 0), (2, 0), (0, -2), (3, 4), (-5, 5), (8, 0), (0, 10)]
)
def test_a_shift_in_the_middle_is_found_in_mm(rows, columns, spacing):
    """By so many pixels down and to the right, to within 0.3 mm and 5 %."""
    hu = body()
    expected = np.hypot(rows * spacing[0], columns * spacing[1])
    found = largest([hu, hu, hu, *[moved(hu, rows, columns)] * 3], spacing=spacing)
    assert found == pytest.approx(expected, rel=0.05, abs=0.3)


def test_the_largest_counts():
    """1.6 mm, then 4 mm, then back by 1.6 mm; noise of 30 HU is averaged out."""
    noise = np.random.default_rng(1)
    steps = [(0, 0), (2, 0), (5, 4), (5, 2)]
    slices = [moved(body(), *step) + noise.normal(0, 30, (256, 320)) for step in steps]
    assert largest(slices) == pytest.approx(4, abs=0.4)


def test_what_grows_on_all_sides_has_not_moved():
    """From slice to slice 1.6 mm more on each side."""
    assert largest([body(grow=2 * number) for number in range(6)]) < 0.3


def test_a_changing_table_is_not_seen():
    """Its upper edge 10 mm lower."""
    lower = body()
    lower[230:233], lower[243:246] = -1000, -300
    assert largest([body(), lower]) < 0.1


@pytest.mark.parametrize(
    "heights",
    [
        pytest.param([], id="none"),
        pytest.param([0], id="one slice"),
        pytest.param([0, 5, 10], id="gaps"),
        pytest.param([0, 0], id="the same place"),
        pytest.param([5, 2.5], id="another lesion"),
    ],
)
def test_without_neighbours_nothing_is_told(heights):
    slices = [moved(body(), 0, 5 * number) for number in range(len(heights))]
    assert np.isnan(largest(slices, heights=heights))


def test_across_a_gap_nothing_is_told():
    """The shift lies between 5 and 10 mm, where a slice is missing."""
    hu = body()
    slices = [hu, hu, hu, moved(hu, 0, 5), moved(hu, 0, 5)]
    assert largest(slices, heights=[0, 2.5, 5, 10, 12.5]) < 0.1


def test_an_empty_picture_has_not_moved():
    """Nothing but air: no edge tells anything."""
    assert largest([np.full((64, 64), -1000, np.float32)] * 2) == 0


@pytest.fixture(scope="module")
def real(hcc_tace_seg_root):
    """A function from a patient to the lesion's heights, slices, and both spacings."""

    def of_patient(patient_id):
        folder = series.folder(hcc_tace_seg_root / "dicom" / patient_id)
        found = folder.open(next(iter(folder.series)))
        named = set(roi.from_boxes(hcc_tace_seg_root / "lesion_boxes.csv", found).sop_instance_uid)
        own = [header for header in found.slices if header.sop_instance_uid in named]
        heights = rules.along_normal(own)
        return heights, [found.hu(one.sop_instance_uid) for one in own], own[0].pixel_spacing_mm

    return of_patient


def with_body_moved(hu, rows, columns):
    """The body, its holes filled, on another place of the table."""
    inside = ndimage.binary_fill_holes(ndimage.binary_opening(hu > -300, iterations=3))
    labels, _ = ndimage.label(inside)
    inside = labels == np.bincount(labels[labels > 0]).argmax()
    moved_to = np.roll(inside, (rows, columns), axis=(0, 1))
    left = np.where(ndimage.binary_dilation(inside, iterations=2), -1000, hu)
    return np.where(moved_to, np.roll(hu, (rows, columns), axis=(0, 1)), left)


@pytest.mark.real_data
@pytest.mark.parametrize("patient_id", ["HCC_007", "HCC_009", "HCC_015"])
def test_a_real_body_that_moves_is_told_from_one_that_lies_still(real, patient_id):
    """By nature below 1 mm a slice; moved by 3 to 4 mm, by so much to within that 1 mm."""
    heights, slices, spacing = real(patient_id)
    still = largest(slices, heights=heights, spacing=spacing)
    assert still < 1
    half = len(slices) // 2
    for rows, columns in ((5, 0), (0, -5), (-4, 3)):
        after = [with_body_moved(hu, rows, columns) for hu in slices[half : half + 2]]
        found = largest(
            [*slices[half - 2 : half], *after],
            heights=heights[half - 2 : half + 2],
            spacing=spacing,
        )
        way = np.hypot(rows * spacing[0], columns * spacing[1])
        assert way - 1 < found < way + 1
