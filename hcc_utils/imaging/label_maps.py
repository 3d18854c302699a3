"""Label maps (NIfTI and its kin): what each label marks on the slices that lie on its grid."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hcc_utils.imaging.headers import ImagingError, axes
from hcc_utils.imaging.marks import SAME_DIRECTION, SAME_PLACE_MM, Mark
from hcc_utils.imaging.series import Series

FORMS: tuple[str, ...] = (".nii.gz", ".nii", ".nrrd", ".mha")


def marked(path: Path, series: Series) -> Iterator[Mark]:
    """
    What each label marks on each slice.

    Parameters
    ----------
    path : pathlib.Path
        A label map in one of `FORMS`.
    series : Series
        The series on which it was drawn.

    Yields
    ------
    Mark
        One for each label above 0 and slice.

    Raises
    ------
    ImagingError
        If it is no label map, its grid is not that of the series, or it marks a plane where the
        series has no slice.
    """
    image = _aligned(_read(path), series)
    differing = _differing(image, series)
    if differing:
        raise ImagingError(
            "other_grid",
            f"{path} does not lie on the pixels of the series {series.series_instance_uid}: "
            f"{'; '.join(differing)}. Export the label map on the CT's own grid, not resampled.",
            path,
        )
    values = _values(path, image)
    planes = np.rint(_planes(image, series)).astype(int)
    _require_slices(path, values, planes)
    labels = np.unique(values[values > 0]).tolist()
    for lesion, label in enumerate(labels, start=1):
        for header, plane in zip(series.slices, planes, strict=True):
            yield Mark(lesion, header.sop_instance_uid, values[plane] == label, "nifti")


def fits(path: Path, series: Series) -> bool:
    """
    Whether a label map has the grid of a series.

    Parameters
    ----------
    path : pathlib.Path
        A label map in one of `FORMS`.
    series : Series
        Any CT series.

    Returns
    -------
    bool
        True for each of several series that lie on one grid, such as the phases of one CT.
    """
    return not _differing(_aligned(_read(path), series), series)


def _read(path: Path) -> Any:
    """The image, where it has three dimensions and one value a pixel."""
    import SimpleITK

    if not path.is_file():
        raise ImagingError(
            "no_roi", f"{path} is not there; put the patient's label map there.", path
        )
    if not path.name.lower().endswith(FORMS):
        raise ImagingError(
            "unreadable_roi", f"{path} is not a label map ({', '.join(FORMS)}).", path
        )
    try:
        image = SimpleITK.ReadImage(str(path))
    except RuntimeError as error:
        why = str(error).strip().splitlines()[-1]
        raise ImagingError(
            "unreadable_roi", f"{path} cannot be read ({why}). Export it again.", path
        ) from error
    if image.GetDimension() != 3 or image.GetNumberOfComponentsPerPixel() != 1:
        raise ImagingError(
            "unreadable_roi",
            f"{path} has {image.GetDimension()} dimensions and "
            f"{image.GetNumberOfComponentsPerPixel()} value(s) a pixel; a label map has 3 and 1.",
            path,
        )
    return image


def _aligned(image: Any, series: Series) -> Any:
    """The same image, its axes in the order and sense of the slices' columns, rows and normal."""
    import SimpleITK

    along = np.reshape(image.GetDirection(), (3, 3)).T @ axes(series.slices[0])
    order = np.abs(along).argmax(axis=0).tolist()
    if sorted(order) != [0, 1, 2]:
        return image  # half-way between two orders: its directions differ whichever is taken
    backwards = [bool(along[axis, own] < 0) for own, axis in enumerate(order)]
    return SimpleITK.Flip(SimpleITK.PermuteAxes(image, order), backwards, False)


def _differing(image: Any, series: Series) -> list[str]:
    """What of the grid is not that of the slices, in words."""
    first = series.slices[0]
    steps = axes(first)
    spacing = np.linalg.norm(steps, axis=0)
    size, ours = image.GetSize()[:2], (first.columns, first.rows)
    theirs = np.array(image.GetSpacing())
    found = []
    if size != ours:
        found.append(f"size {size} against {ours} columns and rows")
    if np.abs(theirs - spacing)[:2].max() > SAME_DIRECTION:
        found.append(f"spacing {_said(theirs[:2])} against {_said(spacing[:2])} mm")
    direction = np.reshape(image.GetDirection(), (3, 3))
    if np.abs(direction - steps / spacing).max() > SAME_DIRECTION:
        found.append("direction (it is turned or sheared against the slices)")
    return found or _displaced(image, series)


def _displaced(image: Any, series: Series) -> list[str]:
    """Where an image of the slices' size, spacing and direction lies beside them, in words."""
    across = _offsets(image, series)[:2]
    if np.abs(across).max() > SAME_PLACE_MM:
        worst = across[:, np.abs(across).max(axis=0).argmax()]
        return [f"origin (a slice lies {_said(worst)} mm beside it in its plane)"]
    planes = _planes(image, series)
    between = np.abs(planes - np.rint(planes)) * image.GetSpacing()[2]
    if between.max() > SAME_PLACE_MM:
        count = f"{(between > SAME_PLACE_MM).sum()} of {len(planes)}"
        apart = f"{count} slices lie between its planes, by up to {between.max():.2f} mm"
        return [f"spacing or origin along the normal ({apart})"]
    outside = (np.rint(planes) < 0) | (np.rint(planes) >= image.GetSize()[2])
    if outside.any():
        return [f"extent along the normal ({outside.sum()} of {len(planes)} slices lie beyond it)"]
    return []


def _offsets(image: Any, series: Series) -> npt.NDArray[np.float64]:
    """How far each slice lies from the image's first pixel, in mm: right, down, along."""
    positions = np.array([header.position_mm for header in series.slices])
    own = np.reshape(image.GetDirection(), (3, 3))
    offsets: npt.NDArray[np.float64] = own.T @ (positions - image.GetOrigin()).T
    return offsets


def _planes(image: Any, series: Series) -> npt.NDArray[np.float64]:
    """The plane of the image, counted from 0, in which each slice lies."""
    planes: npt.NDArray[np.float64] = _offsets(image, series)[2] / image.GetSpacing()[2]
    return planes


def _values(path: Path, image: Any) -> npt.NDArray[Any]:
    """The labels, axes (plane, row, column)."""
    import SimpleITK

    values: npt.NDArray[Any] = SimpleITK.GetArrayFromImage(image)
    if not ((values >= 0) & (values % 1 == 0)).all():
        raise ImagingError(
            "not_a_label_map",
            f"{path} holds values that are no labels (fractions, or below 0). Export a label map: "
            "0 where there is no lesion, 1 (2, 3, ...) in the first (second, third, ...) lesion.",
            path,
        )
    return values


def _require_slices(path: Path, values: npt.NDArray[Any], planes: npt.NDArray[np.int_]) -> None:
    """Refuse marks in planes where the series has no slice: it has a gap, or is another one."""
    marked_planes = np.flatnonzero(values.any(axis=(1, 2)))
    lost = np.setdiff1d(marked_planes, planes)
    if len(lost):
        raise ImagingError(
            "unresolved_reference",
            f"{path} marks {len(marked_planes)} planes; in {len(lost)} of them the series has no "
            f"slice, first in plane {lost[0]}. Give the series with all its files.",
            path,
        )


def _said(lengths: npt.NDArray[np.float64]) -> str:
    """Lengths in words."""
    return " x ".join(f"{length:.4g}" for length in lengths)
