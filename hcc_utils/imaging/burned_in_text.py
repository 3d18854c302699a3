"""Text burned into pixels, found without reading it: glyphs of one flat value on one line."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

Boxes = npt.NDArray[np.int64]

STROKE_PIXELS = 14  # no stroke of a letter is wider
CONTRAST = 0.15  # of the picture's range, between a stroke and what is around it
FLAT_SHARE = 0.2  # of a letter's pixels that have the text's own value; anatomy is never so flat
GLYPH_HEIGHT_PIXELS = (5, 60)
LETTERS = 3

_GAP_HEIGHTS = 1.2  # between two letters of a line
_HEIGHT_RATIO = 1.8  # of the letters of a line: capitals beside small ones
_OVERLAP_SHARE = 0.6  # of the lower letter's height, beside the other
_LETTER_WIDTH_HEIGHTS = 0.7  # letters that touch are counted by their width
_WORD_HEIGHTS = 12
_BESIDE = 0.2  # of the contrast: values so close to the commonest are its neighbours
_PEAK = 2  # times as frequent as each of them


def is_written_on(pixels: npt.NDArray[Any]) -> bool:
    """
    Whether a line of text seems to be burned into a picture.

    Text is drawn in one value: its letters are thin, flat, of one height and side by side, which
    anatomy is not. Single letters (an L or R marker) do not count; soft (antialiased) letters below
    some 16 pixels on an uneven ground are missed.

    Parameters
    ----------
    pixels : numpy.ndarray, shape (rows, columns) or (rows, columns, 3)
        Stored values, of any scale.

    Returns
    -------
    bool
        True where at least `LETTERS` letters stand on a line, lighter or darker than their ground.
    """
    grey = np.asarray(pixels, dtype=np.float32)
    grey = grey.max(axis=-1) if grey.ndim == 3 else grey
    low, high = float(grey.min()), float(grey.max())
    if low == high:
        return False
    least = CONTRAST * (high - low)
    light = _glyphs(grey, least)
    dark = _glyphs(low + high - grey, least, on_flat_ground=True)
    return max(_letters(light), _letters(dark)) >= LETTERS


def _glyphs(
    picture: npt.NDArray[np.float32], least: float, *, on_flat_ground: bool = False
) -> Boxes:
    """Boxes (top, bottom, left, right) of thin, light, flat patches, from left to right."""
    size = (STROKE_PIXELS + 1, STROKE_PIXELS + 1)
    strokes = picture - ndimage.grey_opening(picture, size=size) > least
    if not strokes.any():
        return np.empty((0, 4), dtype=np.int64)
    patch, count = ndimage.label(strokes, structure=np.ones((3, 3)))
    if not _stands_out(picture[strokes], least):
        return np.empty((0, 4), dtype=np.int64)
    ink = picture == _commonest(picture[strokes])
    kept = _share(patch, ink, strokes, count) >= FLAT_SHARE
    if on_flat_ground:  # thin dark air in anatomy is flat too; the paper around black letters is
        around = ndimage.grey_dilation(patch, size=(5, 5))
        ground = (around > 0) & ~ndimage.binary_dilation(strokes)
        paper = picture == _commonest(picture[ground]) if ground.any() else ground
        kept &= _share(around, paper, ground, count) >= 0.5
    places = ndimage.find_objects(patch)
    slices = [places[index] for index in np.flatnonzero(kept)]
    boxes = [(rows.start, rows.stop, columns.start, columns.stop) for rows, columns in slices]
    found = np.array(boxes, dtype=np.int64).reshape(-1, 4)
    return found[np.argsort(found[:, 2])]


def _stands_out(values: npt.NDArray[np.float32], least: float) -> bool:
    """Whether one value is far more frequent than those beside it, as noise never is."""
    each, counts = np.unique(values, return_counts=True)
    beside = np.abs(each - each[counts.argmax()]) <= _BESIDE * least
    beside[counts.argmax()] = False
    return bool(counts.max() >= _PEAK * counts[beside].max(initial=0))


def _commonest(values: npt.NDArray[np.float32]) -> float:
    """The value that occurs most often."""
    each, counts = np.unique(values, return_counts=True)
    return float(each[counts.argmax()])


def _share(
    patch: npt.NDArray[Any], true: npt.NDArray[np.bool_], within: npt.NDArray[np.bool_], count: int
) -> npt.NDArray[np.float64]:
    """For each patch, the share of its pixels that are true."""
    of = np.bincount(patch[within], minlength=count + 1)
    share: npt.NDArray[np.float64] = np.bincount(patch[within & true], minlength=count + 1) / (
        np.maximum(of, 1)
    )
    return share[1:]


def _letters(glyphs: Boxes) -> int:
    """How many letters the longest line holds."""
    heights = glyphs[:, 1] - glyphs[:, 0]
    widths = glyphs[:, 3] - glyphs[:, 2]
    lowest, highest = GLYPH_HEIGHT_PIXELS
    fits = (heights >= lowest) & (heights <= highest) & (widths <= _WORD_HEIGHTS * heights)
    glyphs, heights, widths = glyphs[fits], heights[fits], widths[fits]
    so_far = np.maximum(np.rint(widths / (_LETTER_WIDTH_HEIGHTS * heights)), 1)
    for here in range(1, len(glyphs)):
        goes_on = _side_by_side(glyphs[:here], glyphs[here])
        so_far[here] += so_far[:here][goes_on].max(initial=0)
    return int(so_far.max(initial=0))


def _side_by_side(before: Boxes, glyph: Boxes) -> npt.NDArray[np.bool_]:
    """Which of the glyphs before stand on one line with it, close by and equally high."""
    top, bottom, left, _ = glyph
    heights, height = before[:, 1] - before[:, 0], bottom - top
    lower, higher = np.minimum(heights, height), np.maximum(heights, height)
    overlap = np.minimum(before[:, 1], bottom) - np.maximum(before[:, 0], top)
    gap = left - before[:, 3]
    near = (gap >= -2) & (gap <= _GAP_HEIGHTS * higher)
    alike = (higher <= _HEIGHT_RATIO * lower) & (overlap >= _OVERLAP_SHARE * lower)
    found: npt.NDArray[np.bool_] = near & alike
    return found
