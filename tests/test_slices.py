"""Lesion slices: the right pixels, resized as said, with where each came from."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from dicom_files import COLUMNS, ROWS, mask, rows, store, truth_hu, uid, write_seg, write_series
from test_series import opened, second_acquisition, tilted

from hcc_utils.checks import InputError
from hcc_utils.imaging import roi, slices


def box(number, row_min, row_max, column_min, column_max, lesion=1):
    """One row of an ROI on slice `number`."""
    edges = (row_min, row_max, column_min, column_max)
    row = [uid(1, number + 1), lesion, *edges, "boxes", np.nan]
    return pd.DataFrame([row], columns=roi.COLUMNS)


def write_image(hu):
    """A change that gives every slice these Hounsfield units."""

    def change(number, image):
        image.Rows, image.Columns = hu.shape
        store(image, hu.astype("<i2"))

    return change


def test_without_resizing_the_crop_is_the_image(tmp_path):
    """A box of 6 x 6 with a margin of 2 is rows 3 to 12 and columns 4 to 13: 10 x 10."""
    found = opened(write_series(tmp_path / "P1"))
    cut = slices.lesion_slices(found, box(2, 5, 10, 6, 11), margin_pixels=2, size=10)
    np.testing.assert_array_equal(cut.pixels_hu[0], truth_hu(2)[3:13, 4:14])
    assert cut.pixels_hu.dtype == np.int16


def test_the_margin_is_five_pixels_by_default(tmp_path):
    """Rows 7 to 16 and columns 5 to 14 with 5 more are rows 2 to 21 and columns 0 to 19."""
    found = opened(write_series(tmp_path / "P1"))
    cut = slices.lesion_slices(found, box(2, 7, 16, 5, 14), size=20)
    np.testing.assert_array_equal(cut.pixels_hu[0], truth_hu(2)[2:22])


def test_the_box_is_clipped_at_the_edge(tmp_path):
    """Rows 0 to 3 with 4 more below are 8; columns 16 to 19 with 4 more to the left are 8."""
    found = opened(write_series(tmp_path / "P1"))
    cut = slices.lesion_slices(found, box(2, 0, 3, 16, 19), margin_pixels=4, size=8)
    np.testing.assert_array_equal(cut.pixels_hu[0], truth_hu(2)[:8, 12:])


def test_linear_interpolation_by_hand(tmp_path):
    """0 and 100 to 4 pixels: centres at -.25, .25, .75, 1.25 of the old ones: 0, 25, 75, 100."""
    hu = np.array([[0, 100], [0, 100]])
    found = opened(write_series(tmp_path / "P1", change=write_image(hu)))
    cut = slices.lesion_slices(found, box(0, 0, 1, 0, 1), margin_pixels=0, size=4)
    assert cut.pixels_hu[0].tolist() == [[0, 25, 75, 100]] * 4


def test_shrinking_averages_by_hand(tmp_path):
    """
    A step from 0 to 160 over 4 columns to 2: the tent is 4 wide, so the left one, centred at the
    edge between columns 0 and 1, weighs them 3/4, 3/4, 1/4 and nothing: 160 x 1/7 = 22.9; the
    right one mirrors it: 160 x 6/7 = 137.1. Without averaging it would be 0 and 160.
    """
    hu = np.tile([0, 0, 160, 160], (4, 1))
    found = opened(write_series(tmp_path / "P1", change=write_image(hu)))
    cut = slices.lesion_slices(found, box(0, 0, 3, 0, 3), margin_pixels=0, size=2)
    assert cut.pixels_hu[0].tolist() == [[23, 137], [23, 137]]


@pytest.mark.parametrize("size", [7, 32, 128], ids=["smaller", "larger", "default"])
def test_resizing_agrees_with_torch(tmp_path, size):
    """torch 2.13: interpolate(mode="bilinear", antialias=True, align_corners=False)."""
    torch = pytest.importorskip("torch")
    hu = np.random.default_rng(1).integers(-1000, 1000, (ROWS, COLUMNS))
    found = opened(write_series(tmp_path / "P1", change=write_image(hu)))
    cut = slices.lesion_slices(found, box(0, 0, ROWS - 1, 0, COLUMNS - 1), size=size)
    expected = torch.nn.functional.interpolate(
        torch.tensor(hu, dtype=torch.float64)[None, None],
        size=(size, size),
        mode="bilinear",
        antialias=True,
        align_corners=False,
    )
    np.testing.assert_allclose(cut.pixels_hu[0], expected[0, 0].numpy(), atol=0.5 + 1e-3)


def test_table_tells_where_each_slice_came_from(tmp_path):
    """Upside down, slice 4 lies at 2.5 mm and slice 1 at 10 mm; by lesion, then along z."""
    found = opened(write_series(tmp_path / "P1", z_mm=(12.5, 10, 7.5, 5, 2.5, 0)))
    boxes = pd.concat([box(2, 1, 2, 3, 4, lesion=2), box(1, 5, 6, 7, 8), box(4, 5, 6, 7, 9)])
    cut = slices.lesion_slices(found, boxes, margin_pixels=0, size=2)
    assert list(cut.table.columns) == list(slices.COLUMNS)
    assert rows(cut.table) == [
        ["P1", 1, uid(1), uid(1, 5), 1, 2.5, 0.75, 5, 6, 7, 9, "boxes"],
        ["P1", 1, uid(1), uid(1, 2), 1, 10, 0.75, 5, 6, 7, 8, "boxes"],
        ["P1", 2, uid(1), uid(1, 3), 1, 7.5, 0.75, 1, 2, 3, 4, "boxes"],
    ]
    np.testing.assert_array_equal(cut.pixels_hu[2], truth_hu(2)[1:3, 3:5])


def test_a_lesion_in_air_is_refused(tmp_path):
    """Rows 1 to 8 hold -980 to -821 HU on slice 0, -480 to -321 on 1, and 20 or more on 2.

    One box of two within the body is half and enough; one of three is not, nor is lesion 2.
    """
    found = opened(write_series(tmp_path / "P1"))
    boxes = [box(number, 1, 8, 0, 19) for number in (0, 1, 2)]
    assert len(slices.lesion_slices(found, pd.concat(boxes[1:])).table) == 2
    with pytest.raises(
        InputError, match=r"P1: lesion 1 lies in air: 33% .* slice .*\.1\.1\. Check"
    ):
        slices.lesion_slices(found, pd.concat(boxes))
    second = box(0, 1, 8, 0, 19, lesion=2)
    with pytest.raises(InputError, match="lesion 2 lies in air: 0%"):
        slices.lesion_slices(found, pd.concat([*boxes[1:], second]))


SPACINGS = [
    pytest.param({}, id="plain"),
    pytest.param({"z_mm": (12.5, 10, 7.5, 5, 2.5, 0)}, id="reversed"),
    pytest.param({"z_mm": (0, 2.5, 5, 8, 11, 14)}, id="uneven"),
    pytest.param({"z_mm": (0, 2.5, 5, 10, 12.5, 15)}, id="gapped"),
    pytest.param({"change": tilted}, id="tilted"),
    pytest.param(
        {
            "change": lambda number, image: setattr(
                image, "PhotometricInterpretation", "MONOCHROME1"
            )
        },
        id="MONOCHROME1",
    ),
]


@pytest.mark.parametrize("options", SPACINGS)
def test_the_segmented_pixels_come_back_whatever_the_spacing(tmp_path, options):
    folder = write_series(tmp_path / "P1", **options)
    lesion = {"Lesion": mask(s2=(3, 8, 4, 9), s3=(4, 9, 5, 10))}
    seg = write_seg(tmp_path / "roi.dcm", folder, lesion)
    found = opened(folder)
    cut = slices.lesion_slices(found, roi.from_seg(seg, found), margin_pixels=0, size=6)
    crops = {uid(1, 3): truth_hu(2)[3:9, 4:10], uid(1, 4): truth_hu(3)[4:10, 5:11]}
    for row, pixels in zip(cut.table.itertuples(), cut.pixels_hu, strict=True):
        np.testing.assert_array_equal(pixels, crops[row.sop_instance_uid])


def test_only_the_lesions_files_are_read(tmp_path):
    folder = write_series(tmp_path / "P1")
    found = opened(folder)
    for file in folder.glob("*.dcm"):
        if file.name != "1-03.dcm":
            file.unlink()
    assert len(slices.lesion_slices(found, box(2, 3, 4, 3, 4)).table) == 1


def test_of_two_phases_in_one_series_the_marked_one_is_cut(tmp_path):
    """Slices 1 and 4 lie at one place; the box was drawn on 4."""
    found = opened(write_series(tmp_path / "P1", change=second_acquisition))
    cut = slices.lesion_slices(found, box(4, 5, 10, 6, 11), margin_pixels=2, size=10)
    np.testing.assert_array_equal(cut.pixels_hu[0], truth_hu(4)[3:13, 4:14])


def test_a_lesion_marked_in_both_phases_is_refused(tmp_path):
    found = opened(write_series(tmp_path / "P1", change=second_acquisition))
    both = pd.concat([box(1, 5, 10, 6, 11), box(4, 5, 10, 6, 11)])
    with pytest.raises(InputError, match="two boxes at the place"):
        slices.lesion_slices(found, both)


@pytest.mark.parametrize(
    ("boxes", "options", "message"),
    [
        pytest.param(box(0, 3, ROWS, 3, 4), {}, "reaches beyond its 24 rows", id="outside"),
        pytest.param(box(6, 3, 4, 3, 4), {}, "holds no slice", id="unknown slice"),
        pytest.param(box(0, 3, 4, 3, 4)[:0], {}, "the ROI is empty", id="empty"),
        pytest.param(
            box(0, 3, 4, 3, 4), {"margin_pixels": -1}, "must be 0 or more", id="negative margin"
        ),
    ],
)
def test_bad_input_is_named(tmp_path, boxes, options, message):
    found = opened(write_series(tmp_path / "P1"))
    with pytest.raises(InputError, match=message):
        slices.lesion_slices(found, boxes, **options)


def cut_before(tmp_path, hu=None, at=(5, 10, 6, 11), number=2):
    """A series, and the row of slices.csv of one box on it."""
    more = {} if hu is None else {"change": write_image(hu)}
    found = opened(write_series(tmp_path / "P1", **more))
    return found, slices.lesion_slices(found, box(number, *at), margin_pixels=2, size=10).table


def test_cut_again_the_same_way_slices_are_the_same(tmp_path):
    found, table = cut_before(tmp_path)
    (again,) = slices.recut(found, table, [slices.Cut()], margin_pixels=2, size=10)
    first = slices.lesion_slices(found, box(2, 5, 10, 6, 11), margin_pixels=2, size=10)
    np.testing.assert_array_equal(again, first.pixels_hu)


def test_a_moved_cut_is_the_image_so_many_pixels_away(tmp_path):
    """Rows 3 to 12 and columns 4 to 13, moved 1 down and 2 to the left: 4 to 13 and 2 to 11."""
    found, table = cut_before(tmp_path)
    (moved,) = slices.recut(found, table, [slices.Cut(1, -2)], margin_pixels=2, size=10)
    np.testing.assert_array_equal(moved[0], truth_hu(2)[4:14, 2:12])


def test_a_box_is_not_moved_beyond_the_image(tmp_path):
    """Rows 5 to 10 can go up by 5, columns 6 to 11 of 20 to the right by 8; the margin is lost."""
    found, table = cut_before(tmp_path)
    (moved,) = slices.recut(found, table, [slices.Cut(-10, 10)], margin_pixels=0, size=6)
    np.testing.assert_array_equal(moved[0], truth_hu(2)[0:6, 14:20])


def test_the_nearest_pixel_by_hand(tmp_path):
    """0 and 100 to 4 pixels: centres at .25, .75, 1.25 and 1.75 lie in pixels 0, 0, 1 and 1."""
    found, table = cut_before(tmp_path, np.array([[0, 100], [0, 100]]), (0, 1, 0, 1))
    (cut,) = slices.recut(found, table, [slices.Cut(kernel="nearest")], margin_pixels=0, size=4)
    assert cut[0].tolist() == [[0, 0, 100, 100]] * 4


@pytest.mark.parametrize("size", [7, 32], ids=["smaller", "larger"])
def test_cubic_resizing_agrees_with_torch(tmp_path, size):
    """torch 2.13: interpolate(mode="bicubic", antialias=True, align_corners=False)."""
    torch = pytest.importorskip("torch")
    hu = np.random.default_rng(1).integers(-200, 1000, (ROWS, COLUMNS))
    found, table = cut_before(tmp_path, hu, (0, ROWS - 1, 0, COLUMNS - 1))
    (cut,) = slices.recut(found, table, [slices.Cut(kernel="cubic")], size=size)
    expected = torch.nn.functional.interpolate(
        torch.tensor(hu, dtype=torch.float64)[None, None],
        size=(size, size),
        mode="bicubic",
        antialias=True,
        align_corners=False,
    )
    np.testing.assert_allclose(cut[0], expected[0, 0].numpy(), atol=0.5 + 1e-3)


def test_noise_has_the_sd_that_was_asked_for(tmp_path):
    """
    400 pixels of 60 HU: an SD is known to 1 / sqrt(800) = 3.5 %, here held to three times that.

    The draw is the same at both SDs: twice the noise, each rounded to whole HU.
    """
    found, table = cut_before(tmp_path, np.full((20, 20), 60), (0, 19, 0, 19))
    cuts = [slices.Cut(noise_hu=10), slices.Cut(noise_hu=20)]
    some, more = slices.recut(found, table, cuts, margin_pixels=0, size=20)[:, 0].astype(float) - 60
    assert some.std() == pytest.approx(10, rel=0.106)
    np.testing.assert_allclose(more, 2 * some, atol=1.5)


def test_a_slice_that_is_gone_is_named(tmp_path):
    found, table = cut_before(tmp_path)
    with pytest.raises(InputError, match=r"P1: the series .* holds no slice 9\.9, to which"):
        slices.recut(found, table.assign(sop_instance_uid="9.9"), [slices.Cut()])
