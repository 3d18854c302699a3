"""Whose folders they are: directly below the root, or as a download of the archive has them."""

from __future__ import annotations

import nbia_download
import pytest
from dicom_files import cohort_slices, mask, write_seg, write_series
from nbia_download import Series

from hcc_utils.imaging import series
from hcc_utils.orchestration import fingerprint
from hcc_utils.study import folders

STUDY = "11-30-1999-NA-CT ABDPEL WWO LIVER-50093"
LATER = "03-02-2000-NA-CT LIVER, PELVIS [follow up]-99999"


def touch(*paths):
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


@pytest.fixture
def download(tmp_path):
    """Two patients; P1 with a segmentation, P2 with a follow-up under other UIDs."""
    flat = tmp_path / "flat"
    one, two = (write_series(flat / patient) for patient in ("P1", "P2"))
    later = write_series(flat / "later", series=2, patient_id="P2")
    seg = write_seg(tmp_path / "seg.dcm", one, {"Lesion": mask(s2=(3, 8, 4, 9))})
    parts = [
        Series("P1", STUDY, "2.000000-PORTAL-11111", sorted(one.iterdir())),
        Series("P1", STUDY, "300.000000-Segmentation-22222", [seg]),
        Series("P2", STUDY, "2.000000-NA-33333", sorted(two.iterdir())),
        Series("P2", LATER, "4.000000-PV 2,5mm-44444", sorted(later.iterdir())),
    ]
    return nbia_download.write(tmp_path / "root", parts)


def test_folders_below_the_root_are_patients(tmp_path):
    """An empty folder, a hidden one and a loose file are none."""
    touch(tmp_path / "P2" / "1.dcm", tmp_path / "P1" / "CT" / "1.dcm", tmp_path / "LICENSE")
    touch(tmp_path / ".trash" / "1.dcm", tmp_path / "P4" / ".DS_Store")
    (tmp_path / "P3").mkdir()
    found = folders.patient_folders(tmp_path)
    assert found == {"P1": (tmp_path / "P1",), "P2": (tmp_path / "P2",)}
    assert list(found) == ["P1", "P2"]


def test_a_download_holds_its_patients_below_its_collection(download):
    found = folders.patient_folders(download)
    assert found == {p: (nbia_download.folder_of(download, p),) for p in ("P1", "P2")}


def test_the_download_and_the_collection_serve_as_root_too(download):
    """Whoever names a folder one or two levels lower means the same patients."""
    expected = folders.patient_folders(download)
    manifest = download / nbia_download.MANIFEST
    assert folders.patient_folders(manifest) == expected
    assert folders.patient_folders(manifest / nbia_download.COLLECTION) == expected
    renamed = manifest.rename(download / "HCC-TACE-Seg_v1")
    assert list(folders.patient_folders(download)) == ["P1", "P2"]
    assert list(folders.patient_folders(renamed)) == ["P1", "P2"]


def test_a_download_that_was_broken_off_before_its_list_is_one_too(download):
    (download / nbia_download.MANIFEST / "metadata.csv").unlink()
    assert list(folders.patient_folders(download)) == ["P1", "P2"]
    assert list(folders.patient_folders(download / nbia_download.MANIFEST)) == ["P1", "P2"]
    assert folders.listings(download) == ()


def test_several_downloads_may_hold_parts_of_one_patient(tmp_path):
    files = sorted(write_series(tmp_path / "P1").iterdir())
    for name, patient, part in (("1", "P1", files[:3]), ("2", "P1", files[3:]), ("3", "P2", files)):
        one = Series(patient, STUDY, "2.000000-NA-33333", part)
        nbia_download.write(tmp_path / "root", [one], name=f"manifest-{name}")
    found = folders.patient_folders(tmp_path / "root")
    assert [path.parent.parent.name for path in found["P1"]] == ["manifest-1", "manifest-2"]
    assert list(found) == ["P1", "P2"]
    table = series.inventory(tmp_path / "root", workers=1)
    assert table[["patient_id", "n_files", "n_slices"]].to_numpy().tolist() == [
        ["P1", 6, 6],
        ["P2", 6, 6],
    ]


def test_a_download_beside_loose_patients_adds_to_them(download, tmp_path):
    write_series(download / "P9")
    assert list(folders.patient_folders(download)) == ["P1", "P2", "P9"]


def test_a_list_tells_how_many_images_each_series_has(download):
    (listing,) = folders.listings(download)
    lines = folders.listed(listing)
    assert [(one.line, one.patient_id, one.n_images) for one in lines] == [
        (2, "P1", 6),
        (3, "P1", 1),
        (4, "P2", 6),
        (5, "P2", 6),
    ]
    assert all(one.folder.is_dir() for one in lines)
    folder = nbia_download.folder_of(download, "P2")
    assert sorted(folders.listed_images(folder).values()) == [1, 6, 6]


def test_slashes_of_both_systems_are_read(download):
    (listing,) = folders.listings(download)
    listing.write_text(listing.read_text("utf-8").replace("\\", "/"), "utf-8")
    assert all(one.folder.is_dir() for one in folders.listed(listing))


def test_another_table_of_that_name_is_no_list(tmp_path):
    touch(tmp_path / "P1" / "1.dcm")
    (tmp_path / "metadata.csv").write_text("patient,age\nP1,60\n", "utf-8")
    assert folders.patient_folders(tmp_path) == {"P1": (tmp_path / "P1",)}
    assert folders.listings(tmp_path) == ()


def test_a_damaged_line_says_no_number(download):
    """The last line ends in the middle of its series' UID."""
    (listing,) = folders.listings(download)
    text = listing.read_text("utf-8")
    listing.write_text(text[: text.rindex("\n", 0, -1) + 10], "utf-8")
    assert [one.n_images for one in folders.listed(listing)] == [6, 1, 6, None]


def test_the_inventory_sees_every_series_of_a_download(download):
    table = series.inventory(download, workers=1)
    assert table["patient_id"].tolist() == ["P1", "P1", "P2", "P2"]
    assert table["rules"].tolist() == ["", "not_ct", "", ""]
    assert table["n_listed"].tolist() == [6, 1, 6, 6]
    assert table.attrs["not_dicom"] == 0


def test_a_fingerprint_sees_what_a_reader_sees(download, tmp_path):
    """Links to folders are entered; a change behind one is a change."""
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "P1").symlink_to(tmp_path / "flat" / "P1", target_is_directory=True)
    touch(tmp_path / "linked" / ".DS_Store")
    below = list(fingerprint.below(tmp_path / "linked"))
    assert [path.name for path in below] == [f"1-{number:02d}.dcm" for number in range(1, 7)]
    before = fingerprint.of(below)
    touch(tmp_path / "flat" / "P1" / "1-07.dcm")
    assert fingerprint.of(fingerprint.below(tmp_path / "linked")) != before
    names = {path.name for path in fingerprint.below(download)}
    assert names == {"LICENSE", "metadata.csv", "1-1.dcm", *(f"1-{n}.dcm" for n in range(2, 7))}


def test_a_segmentation_is_found_in_its_patients_folders(download):
    """The download itself can be the ROI's path: nobody has to sort files by hand."""
    cohort = cohort_slices(
        ["P1", "P2"], download, "seg", download, chosen_series={}, size=6, workers=1
    )
    assert cohort.table["patient_id"].tolist() == ["P1"]
    assert cohort.table["roi_source"].tolist() == ["seg"]
    assert cohort.problems[["patient_id", "rule"]].to_numpy().tolist() == [["P2", "no_roi"]]


def test_two_segmentations_of_a_patient_are_a_problem(download):
    folder = nbia_download.folder_of(download, "P1") / STUDY
    (folder / "301.000000-Segmentation-5").mkdir()
    copy = (folder / "300.000000-Segmentation-22222" / "1-1.dcm").read_bytes()
    (folder / "301.000000-Segmentation-5" / "1-1.dcm").write_bytes(copy)
    cohort = cohort_slices(["P1"], download, "seg", download, chosen_series={}, size=6, workers=1)
    assert cohort.problems["rule"].tolist() == ["several_rois"]
    assert f"{STUDY}/301.000000-Segmentation-5/1-1.dcm. Keep" in cohort.problems["message"][0]
