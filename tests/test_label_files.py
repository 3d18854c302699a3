"""Label maps that hold more or less than they promise; a library would fill up, cut or crash."""

from __future__ import annotations

import gzip
import struct

import numpy as np
import pytest
import SimpleITK as sitk
from dicom_files import label_map, mask, write_series
from test_series import opened

from hcc_utils.checks import InputError
from hcc_utils.imaging import label_files, roi

LESION = mask(s1=(3, 8, 4, 9), s2=(2, 10, 4, 12)).astype(np.uint8)
FORMS = [".nii", ".nii.gz", ".nrrd", ".mha"]


def write(path, *, compressed=False, labels=LESION):
    sitk.WriteImage(label_map(labels), str(path), useCompression=compressed)
    return path


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.int32, np.int64, np.float32, np.float64])
@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("form", FORMS)
def test_what_is_whole_passes(tmp_path, form, compressed, kind):
    path = write(tmp_path / f"P1{form}", compressed=compressed, labels=LESION.astype(kind))
    label_files.require_whole(path)


@pytest.mark.parametrize("change", [-1, 1, -400, 400])
@pytest.mark.parametrize("form", FORMS)
def test_labels_that_are_lost_or_too_many_are_told(tmp_path, form, change):
    """6 x 24 x 20 labels of one byte each; of a NIfTI the 352 bytes before them count too."""
    path = write(tmp_path / f"P1{form}")
    opening = gzip.open if form == ".nii.gz" else open
    with opening(path, "rb") as file:
        whole = file.read()
    damaged = whole[:change] if change < 0 else whole + bytes(change)
    with opening(path, "wb") as file:
        file.write(damaged)
    start = 352 if "nii" in form else 0
    said = rf"holds {start + 2880 + change}.* where its header promises {start + 2880}"
    with pytest.raises(ValueError, match=said):
        label_files.require_whole(path)


@pytest.mark.parametrize("form", [".nrrd", ".mha", ".nii.gz"])
def test_compressed_labels_that_end_early_are_told(tmp_path, form):
    path = write(tmp_path / f"P1{form}", compressed=True)
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises((ValueError, EOFError)):
        label_files.require_whole(path)


def test_a_part_of_the_planes_is_not_the_whole(tmp_path):
    """2 planes promised, 6 there: SimpleITK reads the two and leaves the lesion's others out."""
    path = write(tmp_path / "P1.nii")
    data = bytearray(path.read_bytes())
    struct.pack_into("<h", data, 46, 2)
    path.write_bytes(data)
    found = opened(write_series(tmp_path / "P1"))
    with pytest.raises(InputError, match=r"P1\.nii cannot be read .* promises 1312\)\. Export it"):
        roi.from_nifti(path, found)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_map_that_lies_nowhere_is_told(tmp_path, value):
    """SimpleITK 2.5.7 dies of it."""
    path = write(tmp_path / "P1.nii")
    data = bytearray(path.read_bytes())
    struct.pack_into("<f", data, 280, value)
    path.write_bytes(data)
    with pytest.raises(ValueError, match="places the labels nowhere"):
        label_files.require_whole(path)


@pytest.mark.parametrize(
    ("at", "value", "is_plain"),
    [(112, 1, True), (112, 2, False), (116, 0, True), (116, 1, False), (116, np.nan, True)],
)
def test_labels_are_not_scaled(tmp_path, at, value, is_plain):
    """An intercept of 1 would make a lesion of all that is none; NaN is how nibabel leaves it."""
    path = write(tmp_path / "P1.nii")
    data = bytearray(path.read_bytes())
    struct.pack_into("<f", data, at, value)
    path.write_bytes(data)
    if is_plain:
        label_files.require_whole(path)
    else:
        with pytest.raises(ValueError, match="scales the values"):
            label_files.require_whole(path)


@pytest.mark.parametrize("n_axes", [0, 2, 4, 255, 32767])
def test_axes_that_are_not_there_are_told(tmp_path, n_axes):
    """SimpleITK 2.5.7 dies of more than it knows."""
    path = write(tmp_path / "P1.mha")
    path.write_bytes(path.read_bytes().replace(b"NDims = 3", f"NDims = {n_axes}".encode()))
    with pytest.raises(ValueError, match="different numbers of axes"):
        label_files.require_whole(path)


def test_labels_in_another_file_are_told(tmp_path):
    path = tmp_path / "P1.nrrd"
    path.write_bytes(b"NRRD0004\ntype: uint8\ndimension: 3\ndata file: x.raw\nsizes: 1 1 1\n\n")
    with pytest.raises(ValueError, match="not in the same file"):
        label_files.require_whole(path)
