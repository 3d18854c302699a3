"""Label maps (NIfTI and its kin): what each label marks on the slices that lie on its grid."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from hcc_utils.imaging import label_files, marks
from hcc_utils.imaging.headers import ImagingError, axes
from hcc_utils.imaging.marks import SAME_DIRECTION, SAME_PLACE_MM, Choice, Mark
from hcc_utils.imaging.series import Series

FORMS: tuple[str, ...] = (".nii.gz", ".nii", ".seg.nrrd", ".nrrd", ".mha")
_SLICER_NAME = re.compile(r"Segment(\d+)_Name")
_DESCRIPTIONS = (".label", ".txt")
_DESCRIPTION = re.compile(r'\s*(\d+)(?:\s+[\d.]+){6}\s+"(.*)"\s*')  # label, colour, shown, name


def marked(path: Path, series: Series, chosen: Choice = marks.lesions) -> Iterator[Mark]:
    """
    What each label marks on each slice.

    Parameters
    ----------
    path : pathlib.Path
        A label map in one of `FORMS`, of the whole image or of a part of it. Its labels are
        named by 3D Slicer in the file itself, which may then hold layers, and by ITK-SNAP in
        label descriptions beside it (``.label`` or ``.txt``). Where nothing names them, each is
        a lesion.
    series : Series
        The series on which it was drawn.
    chosen : Choice, default `marks.lesions`
        What is wanted of it.

    Yields
    ------
    Mark
        One for each slice within the map and label that is wanted.

    Raises
    ------
    ImagingError
        If it is no label map, has names but no lesion, its grid is not that of the series, or it
        marks a plane where the series has no slice.
    """
    file = _opened(path)
    grid = _aligned(_grid(file), _order(_grid(file), series))
    differing = _differing(grid, series)
    if differing:
        raise ImagingError(
            "other_grid",
            f"{path} does not lie on the pixels of the series {series.series_instance_uid}: "
            f"{'; '.join(differing)}. Export the label map on the CT's own grid, not resampled.",
            path,
        )
    values = _values(path, file, _order(_grid(file), series))
    planes = np.rint(_planes(grid, series)).astype(int)
    column, row = _corner(grid, series)
    for own, layer, label in _wanted(path, file, values, chosen):
        held = values[..., layer] == label
        _require_slices(path, held, planes)
        for header, plane in zip(series.slices, planes, strict=True):
            if 0 <= plane < len(held):
                mask = np.zeros((header.rows, header.columns), bool)
                mask[row : row + held.shape[1], column : column + held.shape[2]] = held[plane]
                yield Mark(own, header.sop_instance_uid, mask, "nifti")


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
    grid = _grid(_opened(path))
    return not _differing(_aligned(grid, _order(grid, series)), series)


def _opened(path: Path) -> Any:
    """A reader that knows the header: of three dimensions and one value a pixel, or layers."""
    import SimpleITK

    if not path.is_file():
        raise ImagingError(
            "no_roi", f"{path} is not there; put the patient's label map there.", path
        )
    if not path.name.lower().endswith(FORMS):
        raise ImagingError(
            "unreadable_roi", f"{path} is not a label map ({', '.join(FORMS)}).", path
        )
    file = SimpleITK.ImageFileReader()
    file.SetFileName(str(path))
    with _readable(path):
        label_files.require_whole(path)
        file.ReadImageInformation()
    n_layers = 1 + max((layer for _, layer, _ in _slicer_segments(path, file)), default=0)
    if file.GetDimension() != 3 or file.GetNumberOfComponents() != n_layers:
        raise ImagingError(
            "unreadable_roi",
            f"{path} has {file.GetDimension()} dimensions and {file.GetNumberOfComponents()} "
            f"value(s) a pixel; a label map has 3 and {n_layers}. Export it once more.",
            path,
        )
    return file


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """What the reading library says of a file that it cannot read, as ours."""
    try:
        yield
    except ImagingError:
        raise
    except Exception as error:  # a damaged file fails in any of its reader's ways
        why = str(error).strip().rpartition("\n")[2]
        raise ImagingError(
            "unreadable_roi", f"{path} cannot be read ({why}). Export it again.", path
        ) from error


def _wanted(
    path: Path, file: Any, values: npt.NDArray[Any], chosen: Choice
) -> list[tuple[int, int, int]]:
    """Number, layer and label of what is wanted."""
    segments = _slicer_segments(path, file)
    if segments:
        names = {number: name for number, (name, _, _) in enumerate(segments)}
        return [(own, *segments[n][1:]) for n, own in chosen(path, names, "segment").items()]
    labels = [int(label) for label in np.unique(values[values > 0])]
    if not labels:
        return []
    described = _descriptions(path)
    names = {n: described.get(n, f"label {n}") if described else "lesion" for n in labels}
    return [(own, 0, label) for label, own in chosen(path, names, "label").items()]


def _slicer_segments(path: Path, file: Any) -> list[tuple[str, int, int]]:
    """Name, layer and label of each segment that 3D Slicer wrote into the header."""
    keys = file.GetMetaDataKeys()
    numbers = sorted(int(key[1]) for key in map(_SLICER_NAME.fullmatch, keys) if key)
    found = []
    for number in numbers:  # before 2020 each segment was a layer, with the label 1
        said = {
            what: file.GetMetaData(f"Segment{number}_{what}")
            for what in ("Name", "Layer", "LabelValue")
            if f"Segment{number}_{what}" in keys
        }
        try:
            layer, label = int(said.get("Layer", number)), int(said.get("LabelValue", 1))
        except ValueError as error:
            raise ImagingError(
                "unreadable_roi",
                f"{path}: the layer or the label of segment {number} is no whole number. Export "
                "it again from 3D Slicer.",
                path,
            ) from error
        found.append((said["Name"], layer, label))
    return found


def _descriptions(path: Path) -> dict[int, str]:
    """The name of each label in the label descriptions that ITK-SNAP wrote beside the map."""
    form = next(form for form in FORMS if path.name.lower().endswith(form))
    beside = [path.with_name(path.name[: -len(form)] + own) for own in _DESCRIPTIONS]
    there = next((file for file in beside if file.is_file()), None)
    if there is None:
        return {}
    lines = there.read_text(encoding="utf-8", errors="replace").splitlines()
    written = [line for line in lines if line.strip() and not line.lstrip().startswith("#")]
    read = [found for line in written if (found := _DESCRIPTION.fullmatch(line))]
    if not read or len(read) < len(written):
        raise ImagingError(
            "unreadable_names",
            f"{there} lies beside the label map {path.name} and holds no label descriptions as "
            "ITK-SNAP writes them. Export them again, or move the file elsewhere.",
            there,
        )
    return {int(found[1]): found[2] for found in read}


class _Grid(NamedTuple):
    """Of an image's axes: how many pixels, the first one's place, how far apart and whereto."""

    size: npt.NDArray[np.int_]
    origin: npt.NDArray[np.float64]
    spacing: npt.NDArray[np.float64]
    direction: npt.NDArray[np.float64]


class _Order(NamedTuple):
    """The image's axes in the order of the slices' columns, rows and normal, and which turn."""

    axes: npt.NDArray[np.int_]
    backwards: npt.NDArray[np.bool_]


def _grid(file: Any) -> _Grid:
    """Where an image lies."""
    return _Grid(
        np.array(file.GetSize()),
        np.array(file.GetOrigin()),
        np.array(file.GetSpacing()),
        np.reshape(file.GetDirection(), (3, 3)),
    )


def _order(grid: _Grid, series: Series) -> _Order:
    """How the image's axes become those of the slices."""
    along = grid.direction.T @ axes(series.slices[0])
    order = np.abs(along).argmax(axis=0)
    if set(order) != {0, 1, 2}:  # half-way between two orders: whichever, its directions differ
        order = np.arange(3)
    return _Order(order, along[order, np.arange(3)] < 0)


def _aligned(grid: _Grid, order: _Order) -> _Grid:
    """The grid of the same image, its axes in another order and sense."""
    size, spacing = grid.size[order.axes], grid.spacing[order.axes]
    direction = grid.direction[:, order.axes]
    first = grid.origin + direction @ (spacing * (size - 1) * order.backwards)
    return _Grid(size, first, spacing, direction * np.where(order.backwards, -1, 1))


def _differing(grid: _Grid, series: Series) -> list[str]:
    """What of the grid is not that of the slices, in words."""
    first = series.slices[0]
    steps = axes(first)
    spacing = np.linalg.norm(steps, axis=0)
    size, ours = tuple(grid.size[:2].tolist()), (first.columns, first.rows)  # or a part of it
    theirs = grid.spacing
    found = []
    if size[0] > ours[0] or size[1] > ours[1]:
        found.append(f"size {size} against {ours} columns and rows")
    if np.abs(theirs - spacing)[:2].max() > SAME_DIRECTION:
        found.append(f"spacing {_said(theirs[:2])} against {_said(spacing[:2])} mm")
    if np.abs(grid.direction - steps / spacing).max() > SAME_DIRECTION:
        found.append("direction (it is turned or sheared against the slices)")
    return found or _displaced(grid, series)


def _displaced(grid: _Grid, series: Series) -> list[str]:
    """Where an image of the slices' spacing and direction lies beside them, in words."""
    across, spacing = _offsets(grid, series)[:2], grid.spacing[:2]
    corner = _corner(grid, series)
    first = series.slices[0]
    room = np.array([first.columns, first.rows]) - grid.size[:2] - corner
    beside = np.abs(across + (corner * spacing)[:, None]).max() > SAME_PLACE_MM
    if beside or corner.min() < 0 or room.min() < 0:
        worst = across[:, np.abs(across).max(axis=0).argmax()]
        return [f"origin (a slice lies {_said(worst)} mm beside it in its plane)"]
    planes = _planes(grid, series)
    within = planes[(np.rint(planes) >= 0) & (np.rint(planes) < grid.size[2])]
    if not len(within):
        return [f"extent along the normal (all {len(planes)} slices lie beyond it)"]
    between = np.abs(within - np.rint(within)) * grid.spacing[2]
    if between.max() > SAME_PLACE_MM:
        count = f"{(between > SAME_PLACE_MM).sum()} of {len(planes)}"
        apart = f"{count} slices lie between its planes, by up to {between.max():.2f} mm"
        return [f"spacing or origin along the normal ({apart})"]
    return []


def _corner(grid: _Grid, series: Series) -> npt.NDArray[np.int_]:
    """The column and the row of the slices on which the image's first pixel lies."""
    offset = _offsets(grid, series)[:2, 0] / grid.spacing[:2]
    corner: npt.NDArray[np.int_] = -np.rint(offset).astype(int)
    return corner


def _offsets(grid: _Grid, series: Series) -> npt.NDArray[np.float64]:
    """How far each slice lies from the image's first pixel, in mm: right, down, along."""
    positions = np.array([header.position_mm for header in series.slices])
    offsets: npt.NDArray[np.float64] = grid.direction.T @ (positions - grid.origin).T
    return offsets


def _planes(grid: _Grid, series: Series) -> npt.NDArray[np.float64]:
    """The plane of the image, counted from 0, in which each slice lies."""
    planes: npt.NDArray[np.float64] = _offsets(grid, series)[2] / grid.spacing[2]
    return planes


def _values(path: Path, file: Any, order: _Order) -> npt.NDArray[Any]:
    """The labels, axes (plane, row, column, layer) of the slices."""
    import SimpleITK

    with _readable(path):
        values: npt.NDArray[Any] = SimpleITK.GetArrayFromImage(file.Execute())
    values = values.reshape(*values.shape[:3], -1)
    if values.dtype.kind != "u" and not ((values >= 0) & (values % 1 == 0)).all():
        raise ImagingError(
            "not_a_label_map",
            f"{path} holds values that are no labels (fractions, or below 0). Export a label map: "
            "0 where there is no lesion, 1 (2, 3, ...) in the first (second, third, ...) lesion.",
            path,
        )
    # an array counts the axes of an image from the last
    values = values.transpose(*(2 - order.axes[::-1]), 3)
    return np.flip(values, tuple(np.flatnonzero(order.backwards[::-1]).tolist()))


def _require_slices(path: Path, held: marks.Mask, planes: npt.NDArray[np.int_]) -> None:
    """Refuse marks in planes where the series has no slice: it has a gap, or is another one."""
    marked_planes = np.flatnonzero(held.any(axis=(1, 2)))
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
