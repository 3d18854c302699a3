"""The pixels that closed contours hold."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from hcc_utils.imaging.marks import Mask

Points = npt.NDArray[np.float64]

ON_THE_PATH_PIXELS = 0.01
_AROUND = ON_THE_PATH_PIXELS * np.array([(-1, -1), (-1, 1), (1, -1), (1, 1)])


def filled(contours: Sequence[Points], rows: int, columns: int) -> Mask:
    """
    The pixels whose centres lie within closed contours, or on their path.

    Parameters
    ----------
    contours : sequence of numpy.ndarray of float, shape (n_points, 2)
        Corners as (row, column), in pixels, whole numbers at pixel centres, none outside the
        image; the last is joined to the first. A contour within another is a hole, one within a
        hole an island: what lies within an odd number of them is held (XOR). A contour that
        comes twice counts once.
    rows : int
        Of the image.
    columns : int
        Of the image.

    Returns
    -------
    numpy.ndarray of bool, shape (rows, columns)
        A contour drawn along pixel edges holds just the pixels that it surrounds; one drawn
        through pixel centres holds these too, to within 0.01 pixel [1]_.

    References
    ----------
    .. [1] DICOM PS3.3 C.8.8.6.3: points along the path of a contour belong to the ROI; contours
       are combined by XOR.
    """
    distinct = {contour.tobytes(): contour for contour in contours}.values()
    edges = np.concatenate([np.stack([c, np.roll(c, -1, axis=0)], axis=1) for c in distinct])
    held: Mask = np.any([_within(edges + shift, rows, columns) for shift in _AROUND], axis=0)
    corners = np.concatenate(contours)  # a sharp one may escape all four shifts
    centres = corners[np.abs(corners - np.rint(corners)).max(axis=1) <= ON_THE_PATH_PIXELS]
    held[tuple(np.rint(centres).astype(np.intp).T)] = True
    return held


def _within(edges: npt.NDArray[np.float64], rows: int, columns: int) -> Mask:
    """Pixel centres with an odd number of edges to their left."""
    # each edge downwards: a way there and back ("keyhole") must cancel to the last digit
    downwards = np.where(edges[:, :1, :1] <= edges[:, 1:, :1], edges, edges[:, ::-1])
    (from_row, from_column), (to_row, to_column) = downwards[:, 0].T, downwards[:, 1].T
    centres = np.arange(rows)[:, None]
    row, edge = np.nonzero((from_row <= centres) != (to_row <= centres))
    share = (row - from_row[edge]) / (to_row - from_row)[edge]
    crossing = from_column[edge] + share * (to_column - from_column)[edge]
    crossings = np.zeros((rows, columns + 1), np.int64)
    np.add.at(crossings, (row, np.ceil(crossing).astype(np.intp)), 1)
    odd: Mask = crossings[:, :columns].cumsum(axis=1) % 2 == 1
    return odd
