"""Label maps: boxes of labels whose place is known, in any order of axes; other grids refused."""

from __future__ import annotations

import gzip

import numpy as np
import pytest
import SimpleITK as sitk
from dicom_files import PLANES, label_map, mask, rows, uid, write_label_map, write_series
from test_series import opened

from hcc_utils.checks import InputError
from hcc_utils.imaging import label_maps, roi

LESION = mask(s1=(3, 8, 4, 9), s2=(2, 10, 4, 12)).astype(np.uint8)
EXPECTED = [[uid(1, 2), 1, 3, 8, 4, 9, "nifti"], [uid(1, 3), 1, 2, 10, 4, 12, "nifti"]]


@pytest.fixture
def folder(tmp_path):
    return write_series(tmp_path / "P1")


def boxes(folder, image, name="roi.nii.gz"):
    return roi.from_nifti(write_label_map(folder.parent / name, image), opened(folder))


@pytest.mark.parametrize("form", label_maps.FORMS)
def test_boxes_just_hold_what_is_labelled(folder, form):
    found = boxes(folder, label_map(LESION), f"roi{form}")
    assert list(found.columns) == list(roi.COLUMNS)
    assert rows(found) == EXPECTED


@pytest.mark.parametrize("axes", ["LPS", "RAS", "LAS", "RPI", "SAL", "PIR", "ILA"])
def test_order_and_sense_of_the_axes_do_not_matter(folder, axes):
    image = sitk.DICOMOrient(label_map(LESION), axes)
    assert rows(boxes(folder, image)) == EXPECTED


def test_ras_by_hand(folder):
    """Columns and rows stored backwards from the opposite corner, as many programs write NIfTI.

    The last pixel's centre: x = -10 + 19 * 0.75 = 4.25, y = -12 + 23 * 0.75 = 5.25.
    """
    backwards = label_map(
        LESION[:, ::-1, ::-1], origin=(4.25, 5.25, 0), direction=(-1, 0, 0, 0, -1, 0, 0, 0, 1)
    )
    assert rows(boxes(folder, backwards)) == EXPECTED


def test_ras_that_says_lps_is_refused(folder):
    """The header's axes turned over, the pixels not: the map lies beside the patient."""
    turned = label_map(LESION, direction=(-1, 0, 0, 0, -1, 0, 0, 0, 1))
    with pytest.raises(InputError, match=r"origin \(a slice lies 14\.25 x 17\.25 mm beside it"):
        boxes(folder, turned)


NORMALS = {"oblique": (-0.6, 0, 0.8), "double oblique": (0.48, -0.64, 0.6)}
GRIDS = {
    "anisotropic": {"spacing": (1.25, 0.5, 7)},
    "descending": {"direction": (1, 0, 0, 0, 1, 0, 0, 0, -1)},
    "coronal": {"direction": (1, 0, 0, 0, 0, 1, 0, -1, 0)},
    "oblique": {"spacing": (0.9, 0.6, 3), "direction": (0.8, 0, -0.6, 0, 1, 0, 0.6, 0, 0.8)},
    "double oblique": {
        "spacing": (0.6, 0.9, 4),
        "direction": (0.8, -0.36, 0.48, 0.6, 0.48, -0.64, 0, 0.8, 0.6),
    },
}
"""Columns of a direction: where columns, rows and slices count; spacings in the same order."""


@pytest.mark.parametrize("plane", GRIDS)
def test_boxes_are_where_the_labels_are(tmp_path, plane):
    """However the slices lie: two spacings that differ, or axes that differ, must not swap."""
    folder = write_series(tmp_path / "P1", change=PLANES[plane])
    found = boxes(folder, label_map(LESION, **GRIDS[plane]))
    order = -1 if plane == "descending" else 1
    assert rows(found) == EXPECTED[::order]


def test_each_label_is_a_lesion(folder):
    """Labels 2 and 7, whatever else is free between them."""
    labels = mask(s4=(1, 2, 1, 2)) * 2 + mask(s0=(5, 6, 7, 8)) * 7
    found = boxes(folder, label_map(labels.astype(np.int16)))
    assert found[["sop_instance_uid", "lesion", "row_min"]].to_numpy().tolist() == [
        [uid(1, 5), 1, 1],
        [uid(1, 1), 2, 5],
    ]


def test_whole_numbers_may_be_stored_as_floats(folder):
    assert rows(boxes(folder, label_map(LESION.astype(np.float32)))) == EXPECTED


def test_jitter_of_places_is_harmless(folder):
    """0.09 mm in the plane and along the normal, where 0.1 mm are allowed."""
    found = boxes(folder, label_map(LESION, origin=(-10.09, -11.91, 0.09)))
    assert rows(found) == EXPECTED


def test_a_gap_in_the_series(tmp_path):
    """The slice at 10 mm is missing: its plane is not marked. At 5 mm it is: refused."""
    folder = write_series(tmp_path / "P1")
    (folder / "1-05.dcm").unlink()
    assert rows(boxes(folder, label_map(LESION))) == EXPECTED
    (folder / "1-03.dcm").unlink()
    with pytest.raises(InputError, match="marks 2 planes; in 1 of them the series has no slice"):
        boxes(folder, label_map(LESION))


def test_a_map_made_without_knowing_of_the_gap_is_refused(tmp_path):
    """Five slices taken for evenly spaced: 12.5 mm / 4 = 3.125 mm apart."""
    folder = write_series(tmp_path / "P1", z_mm=(0, 2.5, 5, 10, 12.5))
    even = label_map(LESION[:5], spacing=(0.75, 0.75, 3.125))
    with pytest.raises(InputError, match=r"3 of 5 slices lie between its planes"):
        boxes(folder, even)


def test_finer_planes_may_be_there_but_not_marked(folder):
    """Planes every 1.25 mm: each second one is a slice."""
    finer = np.zeros((11, *LESION.shape[1:]), np.uint8)
    finer[::2] = LESION
    spacing = (0.75, 0.75, 1.25)
    assert rows(boxes(folder, label_map(finer, spacing=spacing))) == EXPECTED
    finer[3] = finer[2]
    with pytest.raises(InputError, match="in 1 of them the series has no slice, first in plane 3"):
        boxes(folder, label_map(finer, spacing=spacing))


C, S = np.cos(np.radians(1)), np.sin(np.radians(1))


@pytest.mark.parametrize(
    ("image", "message"),
    [
        pytest.param(
            label_map(np.pad(LESION, ((0, 0), (0, 1), (0, 0)))),
            r"size \(20, 25\) against \(20, 24\)",
            id="size",
        ),
        pytest.param(
            label_map(LESION[:, :-1], origin=(-10, -10.5, 0)),
            r"origin \(a slice lies 0 x -1\.5 mm beside it",
            id="a part that reaches beyond the edge",
        ),
        pytest.param(
            label_map(LESION[:, 2:, 3:], origin=(-7.5, -10.5, 0)),
            r"origin \(a slice lies -2\.5 x -1\.5 mm beside it",
            id="a part between the pixels",
        ),
        pytest.param(
            label_map(LESION, spacing=(0.8, 0.75, 2.5)),
            r"spacing 0\.8 x 0\.75 against 0\.75 x 0\.75 mm",
            id="spacing",
        ),
        pytest.param(
            label_map(LESION, direction=(C, -S, 0, S, C, 0, 0, 0, 1)),
            r"direction \(it is turned",
            id="one degree",
        ),
        pytest.param(
            label_map(LESION, direction=(1, 0, 0, 0, C, -S, 0, S, C)),
            r"direction \(it is turned",
            id="one degree of tilt",
        ),
        pytest.param(
            label_map(LESION, origin=(-9.5, -12, 0)),
            r"origin \(a slice lies -0\.5 x 0 mm",
            id="origin",
        ),
        pytest.param(
            label_map(LESION, origin=(-10, -12, 0.5)),
            r"6 of 6 slices lie between its planes, by up to 0\.50 mm",
            id="origin along the normal",
        ),
        pytest.param(
            label_map(LESION, spacing=(0.75, 0.75, 2)),
            "3 of 6 slices lie between its planes",
            id="other planes",
        ),
        pytest.param(
            label_map(LESION, origin=(-10, -12, 15)), "all 6 slices lie beyond it", id="above"
        ),
        pytest.param(
            label_map(LESION * np.float32(0.5)), "values that are no labels", id="fractions"
        ),
        pytest.param(
            label_map(LESION.astype(np.int16) - 1), "values that are no labels", id="below 0"
        ),
        pytest.param(label_map(LESION * 0), "marks no pixel as lesion", id="empty"),
        pytest.param(
            sitk.JoinSeries([label_map(LESION)] * 2), "4 dimensions", id="four dimensions"
        ),
        pytest.param(
            sitk.Compose(label_map(LESION), label_map(LESION)), r"2 value\(s\)", id="two values"
        ),
    ],
)
def test_a_map_that_does_not_fit_is_refused(folder, image, message):
    with pytest.raises(InputError, match=message):
        boxes(folder, image)


@pytest.mark.parametrize("axes", ["LPS", "RAS", "SAL"])
@pytest.mark.parametrize("form", [".seg.nrrd", ".nii.gz", ".mha"])
def test_a_part_of_the_image_is_enough(folder, form, axes):
    """Planes 1 to 3, rows 2 to 11, columns 3 to 13: first pixel at -10 + 3 * 0.75 and so on."""
    part = label_map(LESION[1:4, 2:12, 3:14], origin=(-7.75, -10.5, 2.5))
    found = boxes(folder, sitk.DICOMOrient(part, axes), f"roi{form}")
    assert rows(found) == EXPECTED


@pytest.mark.parametrize("space", ["right-anterior-superior", "left-posterior-superior"])
def test_nrrd_says_which_way_its_axes_run(folder, space):
    """Written by hand: the same pixels, their place told in either space."""
    sign = -1 if space.startswith("right") else 1
    header = (
        f"NRRD0004\ntype: uint8\ndimension: 3\nspace: {space}\nsizes: 20 24 6\n"
        f"space directions: ({sign * 0.75},0,0) (0,{sign * 0.75},0) (0,0,2.5)\n"
        "kinds: domain domain domain\nencoding: raw\n"
        f"space origin: ({sign * -10},{sign * -12},0)\n\n"
    )
    path = folder.parent / "roi.nrrd"
    path.write_bytes(header.encode() + LESION.tobytes())
    assert rows(roi.from_nifti(path, opened(folder))) == EXPECTED


OTHER = mask(s2=(4, 12, 6, 14)).astype(np.uint8)
"""Crosses LESION on slice 2."""


def slicer(folder, layers, *segments, old=False):
    """A segmentation as 3D Slicer writes it: (name, layer, label) in the header, layers first."""
    stacked = layers.ndim == 4
    data = np.ascontiguousarray(np.moveaxis(layers, 0, -1) if stacked else layers)
    lines = [
        "NRRD0004",
        "type: unsigned char",
        f"dimension: {layers.ndim}",
        "space: left-posterior-superior",
        f"sizes: {' '.join(map(str, data.shape[::-1]))}",
        f"space directions: {'none ' * stacked}(0.75,0,0) (0,0.75,0) (0,0,2.5)",
        f"kinds: {'list ' * stacked}domain domain domain",
        "encoding: raw",
        "space origin: (-10,-12,0)",
    ]
    for number, (name, layer, label) in enumerate(segments):
        lines.append(f"Segment{number}_Name:={name}")
        if not old:
            lines.append(f"Segment{number}_Layer:={layer}")
            lines.append(f"Segment{number}_LabelValue:={label}")
    path = folder.parent / "P1.seg.nrrd"
    path.write_bytes(("\n".join(lines) + "\n\n").encode() + data.tobytes())
    return path


def test_slicer_says_which_label_is_the_lesion(folder):
    """The liver fills all that is not lesion."""
    labels = np.where(LESION, 2, 1).astype(np.uint8)
    path = slicer(folder, labels, ("Liver", 0, 1), ("Tumor", 0, 2))
    assert rows(roi.from_nifti(path, opened(folder))) == EXPECTED


@pytest.mark.parametrize("old", [False, True])
def test_slicer_keeps_overlapping_segments_in_layers(folder, old):
    """The older form has no label: each segment is a layer of its own, marked 1."""
    layers = np.stack([np.ones_like(LESION), LESION, OTHER])
    segments = [("Liver", 0, 1), ("lesion 1", 1, 1), ("lesion 2", 2, 1)]
    found = roi.from_nifti(slicer(folder, layers, *segments, old=old), opened(folder))
    second = [uid(1, 3), 2, 4, 12, 6, 14, "nifti"]
    assert rows(found) == [*EXPECTED, second]


def test_slicers_file_as_it_comes(folder):
    """Compressed, right to left and front to back, layers first, tags with terminology.

    The header's fields and their order are those of a file that 3D Slicer wrote (slicerio 1.4
    brings it as an example).
    """
    layers = np.stack([np.where(LESION, 2, 1), OTHER])[:, :, ::-1, ::-1].astype(np.uint8)
    tags = (
        "Segmentation.Status:inprogress|TerminologyEntry:Segmentation category and type - x~SCT^1"
    )
    lines = [
        "NRRD0004",
        "# Complete NRRD file format specification at:",
        "# http://teem.sourceforge.net/nrrd/format.html",
        "type: unsigned char",
        "dimension: 4",
        "space: left-posterior-superior",
        "sizes: 2 20 24 6",
        "space directions: none (-0.75,0,0) (0,-0.75,0) (0,0,2.4999999999999996)",
        "kinds: list domain domain domain",
        "encoding: gzip",
        "space origin: (4.25,5.25,0)",
    ]
    for number, (name, layer, label) in enumerate([("Liver", 0, 1), ("Mass", 0, 2), ("HCC", 1, 1)]):
        lines += [
            f"Segment{number}_Color:=0.992157 0.909804 0.619608",
            f"Segment{number}_ColorAutoGenerated:=1",
            f"Segment{number}_Extent:=0 19 0 23 0 5",
            f"Segment{number}_ID:=Segment_{number + 1}",
            f"Segment{number}_LabelValue:={label}",
            f"Segment{number}_Layer:={layer}",
            f"Segment{number}_Name:={name}",
            f"Segment{number}_NameAutoGenerated:=1",
            f"Segment{number}_Tags:={tags}|",
        ]
    lines += [
        "Segmentation_ContainedRepresentationNames:=Binary labelmap|Closed surface|",
        "Segmentation_MasterRepresentation:=Binary labelmap",
        "Segmentation_ReferenceImageExtentOffset:=0 0 0",
    ]
    pixels = np.ascontiguousarray(np.moveaxis(layers, 0, -1)).tobytes()
    path = folder.parent / "P1.seg.nrrd"
    path.write_bytes("\n".join([*lines, "", ""]).encode() + gzip.compress(pixels))
    second = [uid(1, 3), 2, 4, 12, 6, 14, "nifti"]
    assert rows(roi.from_nifti(path, opened(folder))) == [*EXPECTED, second]


def test_slicers_file_without_a_lesion_is_refused(folder):
    path = slicer(folder, LESION, ("Segment_1", 0, 1))
    with pytest.raises(InputError, match=r"no segment named lesion.*it has Segment_1"):
        roi.from_nifti(path, opened(folder))


def test_slicers_layers_must_all_be_there(folder):
    path = slicer(folder, LESION, ("Tumor", 1, 1))
    with pytest.raises(InputError, match=r"a label map has 3 and 2\. Export it"):
        roi.from_nifti(path, opened(folder))


@pytest.mark.parametrize("form", [".label", ".txt"])
def test_itk_snap_says_beside_the_map_which_label_is_the_lesion(folder, form):
    (folder.parent / f"roi{form}").write_text(
        "################\n# ITK-SnAP Label Description File\n################\n"
        '    0     0    0    0        0  0  0    "Clear Label"\n'
        '    1   255    0    0        1  1  1    "Liver"\n'
        '    2     0  255    0      0.5  1  1    "HCC 1"\n'
    )
    labels = np.where(LESION, 2, 1).astype(np.uint8)
    assert rows(boxes(folder, label_map(labels))) == EXPECTED
    with pytest.raises(InputError, match=r"no label named lesion.*it has Liver, label 3"):
        boxes(folder, label_map(np.where(LESION, 3, 1).astype(np.uint8)))


def test_another_text_beside_the_map_is_refused(folder):
    (folder.parent / "roi.txt").write_text("seen by two readers\n")
    with pytest.raises(InputError, match=r"roi\.txt lies beside the label map"):
        boxes(folder, label_map(LESION))


def test_what_is_no_number_is_no_label(folder):
    """In MetaImage; of NIfTI, the reading library itself turns it into 0."""
    with pytest.raises(InputError, match="values that are no labels"):
        boxes(folder, label_map(np.where(LESION, np.nan, 0)), "roi.mha")


def test_a_tilted_gantry_has_no_grid(tmp_path):
    """Each slice 0.5 mm further down than the one below it: rows do not lie over each other."""

    def tilt(number, image):
        image.ImagePositionPatient = [-10, -12 + 0.5 * number, 2.5 * number]

    folder = write_series(tmp_path / "P1", change=tilt)
    with pytest.raises(InputError, match=r"origin \(a slice lies 0 x 2\.5 mm beside it"):
        boxes(folder, label_map(LESION))


def test_what_cannot_be_read_is_named(tmp_path, folder):
    with pytest.raises(InputError, match="put the patient's label map there"):
        roi.from_nifti(tmp_path / "none.nii.gz", opened(folder))
    with pytest.raises(InputError, match=r"1-01\.dcm is not a label map"):
        roi.from_nifti(folder / "1-01.dcm", opened(folder))
    damaged = tmp_path / "roi.nii"
    damaged.write_bytes(b"\0" * 400)
    with pytest.raises(InputError, match=r"roi\.nii cannot be read"):
        roi.from_nifti(damaged, opened(folder))


def test_which_series_it_fits(tmp_path, folder):
    """Two phases on one grid: both. A series of other slices: not."""
    path = write_label_map(tmp_path / "roi.nii", label_map(LESION))
    phase = write_series(tmp_path / "phase", series=2)
    other = write_series(tmp_path / "other", series=3, z_mm=(1, 2, 3))
    fitting = [roi.drawn_on(opened(one), path, "nifti") for one in (folder, phase, other)]
    assert fitting == [True, True, False]
