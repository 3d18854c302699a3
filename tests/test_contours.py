"""Which pixels closed contours hold: edges, centres, holes, islands, keyholes."""

from __future__ import annotations

import numpy as np
import pytest
from dicom_files import rectangle
from scipy import ndimage

from hcc_utils.demo.outlines import traced
from hcc_utils.imaging.contours import filled


def held(*contours):
    """The held pixels of 7 x 8, as lines of dots and crosses."""
    mask = filled([np.array(contour, float) for contour in contours], 7, 8)
    return ["".join("x" if pixel else "." for pixel in row) for row in mask]


BLOCK = ["........", ".xxxx...", ".xxxx...", ".xxxx...", "........", "........", "........"]


def test_a_contour_along_pixel_edges_holds_what_it_surrounds():
    assert held(rectangle(1, 3, 1, 4)) == BLOCK


def test_a_contour_through_pixel_centres_holds_these_too():
    """DICOM PS3.3 C.8.8.6.3: points along the path belong to the ROI."""
    assert held(rectangle(1, 3, 1, 4, edge=0)) == BLOCK


@pytest.mark.parametrize("off", [-0.009, 0.009])
def test_rounded_coordinates_do_not_decide(off):
    """0.009 pixel to either side of the centres: still on the path."""
    assert held(rectangle(1, 3, 1, 4, edge=off)) == BLOCK


def test_a_contour_within_the_centres_leaves_them_out():
    assert held(rectangle(1, 3, 1, 4, edge=-0.1))[1:3] == ["........", "..xx...."]


def test_a_triangle_by_hand():
    """Corners (0, 0), (0, 6), (6, 0): the pixels with row + column <= 6, both sides held."""
    expected = ["x" * (7 - row) + "." * (row + 1) for row in range(7)]
    assert held([(0, 0), (0, 6), (6, 0)]) == expected


def test_a_line_of_pixels_drawn_through_their_centres():
    """There and back, with nothing between: its corners are on the path."""
    assert held([(2, 3), (2, 4), (2, 5), (2, 4)])[2] == "...xxx.."


def test_the_sense_of_rotation_does_not_matter():
    assert held(rectangle(1, 3, 1, 4)[::-1]) == BLOCK


HOLE = ["........", ".xxxxx..", ".x...x..", ".x.x.x..", ".x...x..", ".xxxxx..", "........"]


def test_hole_and_island():
    contours = rectangle(1, 5, 1, 5), rectangle(2, 4, 2, 4), rectangle(3, 3, 3, 3)
    assert held(*contours) == HOLE


def test_a_keyhole_is_a_hole():
    """Around the edge, through a channel of no width to the hole, around it, and back."""
    outer, inner = rectangle(1, 5, 1, 5), rectangle(2, 4, 2, 4)
    keyhole = [*outer, outer[0], *inner[::-1][3:], *inner[::-1][:3], inner[0]]
    assert [row.count("x") for row in held(keyhole)] == [0, 5, 2, 2, 2, 5, 0]


def test_a_way_there_and_back_holds_nothing():
    """A diagonal whose crossings, computed upwards and downwards, differ in the last digit."""
    way = np.array([(7.53, 8.530000000000001), (9.93, 10.930000000000001)])
    assert not filled([way], 20, 20).any()


def test_two_lesions_side_by_side():
    assert held(rectangle(0, 1, 0, 1), rectangle(5, 6, 6, 7))[::6] == ["xx......", "......xx"]


def test_a_contour_that_comes_twice_counts_once():
    assert held(rectangle(1, 3, 1, 4), rectangle(1, 3, 1, 4)) == BLOCK


def test_the_whole_image_may_be_held():
    assert held(rectangle(0, 6, 0, 7)) == ["xxxxxxxx"] * 7


def test_a_contour_between_the_centres_holds_nothing():
    assert held(rectangle(2.4, 2.6, 2.4, 2.6, edge=0.1)) == ["........"] * 7


@pytest.mark.parametrize("seed", range(100))
def test_tracing_and_filling_lead_back(seed):
    """Any mask, from dust to Swiss cheese: what is traced along pixel edges is filled exactly."""
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(1, 24, 2).tolist())
    mask = rng.random(shape) < rng.random()
    mask[0, 0] = True
    assert np.array_equal(filled(traced(mask), *shape), mask)


def test_each_group_of_pixels_is_traced_by_one_line():
    """Touching corners do not join; a hole adds a channel, not a line."""
    mask = np.array([list(row) for row in HOLE]) == "x"
    assert len(traced(mask)) == ndimage.label(mask)[1] == 2
    assert len(traced(np.eye(3, dtype=bool))) == 3
