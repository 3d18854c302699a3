"""The real sample laid out as the whole collection is downloaded; then half a download of it."""

from __future__ import annotations

import shutil
from pathlib import Path

import highdicom
import nbia_download
import numpy as np
import pandas as pd
import pydicom
import pytest
from dicom_files import cohort_slices
from nbia_download import Series
from pydicom.sr.codedict import codes

from hcc_utils.imaging import roi, rules, series, study_slices
from hcc_utils.orchestration import contract
from hcc_utils.study import folders
from hcc_utils.study.manifest import Manifest

pytestmark = pytest.mark.real_data

STUDY = Path(__file__).parents[1] / "studies" / "hcc_tace_seg" / "manifest.yaml"
ALL = ("HCC_007", "HCC_009", "HCC_015", "HCC_048")
FOLDERS = {
    "HCC_007": ("08-22-1996-NA-CT ABDPEL WWO LIVERMULTI-53085", "4.000000-Recon 2 PV-17043"),
    "HCC_009": ("11-30-1999-NA-NA-50093", "103.000000-LIVER 3 PHASE (AP)-32676"),
    "HCC_015": ("02-30-2003-NA-CT CHEST, LIVER & PELVIS-00042", "5.000000-NA-99042"),
    "HCC_048": ("12-01-2008-NA-AB-LIVER TRIPLE-10101", "2.000000-PV 2.5MM STD-04004"),
}
LATER = ("03-02-2000-NA-CT LIVER FOLLOW UP-77777", "3.000000-PORTAL VENOUS-88888")
LABELS = ("Liver", "Mass", "Portal vein", "Abdominal aorta")


def sample_files(root: Path, patient_id: str) -> list[Path]:
    return sorted((root / "dicom" / patient_id).iterdir())


def ct_of(root: Path, patient_id: str) -> Series:
    """A patient's CT as a part of the download."""
    return Series(patient_id, *FOLDERS[patient_id], sample_files(root, patient_id))


def boxes_of(root: Path, patient_id: str) -> pd.DataFrame:
    """A patient's boxes in the sample."""
    folder = series.folder(root / "dicom" / patient_id)
    return roi.from_boxes(root / "lesion_boxes.csv", folder.open(next(iter(folder.series))))


def segmentation(root: Path, path: Path) -> Path:
    """HCC_007's organs, each a box on three slices; the mass is what lesion_boxes.csv has there."""
    boxes = boxes_of(root, "HCC_007").head(3)
    files = {pydicom.dcmread(f, stop_before_pixels=True).SOPInstanceUID: f for f in
             sample_files(root, "HCC_007")}  # fmt: skip
    images = [pydicom.dcmread(files[uid]) for uid in boxes["sop_instance_uid"]]
    for image in images:
        image.PatientName = ""  # highdicom asks for carets, which the collection's names lack
    marked = np.zeros((3, 512, 512, len(LABELS)), np.uint8)
    marked[:, 60:300, 60:300, 0] = marked[:, 200:220, 200:220, 2] = 1
    marked[:, 230:240, 285:295, 3] = 1
    for number, box in enumerate(boxes.to_dict("records")):
        rows = slice(box["row_min"], box["row_max"] + 1)
        marked[number, rows, box["column_min"] : box["column_max"] + 1, 1] = 1
    seg = highdicom.seg.Segmentation(
        source_images=images,
        pixel_array=marked,
        segmentation_type="BINARY",
        segment_descriptions=[
            highdicom.seg.SegmentDescription(
                segment_number=number,
                segment_label=label,
                segmented_property_category=codes.SCT.Tissue,
                segmented_property_type=codes.SCT.Liver,
                algorithm_type="MANUAL",
            )
            for number, label in enumerate(LABELS, start=1)
        ],
        series_instance_uid="1.2.826.0.1.3680043.8.498.300",
        series_number=300,
        sop_instance_uid="1.2.826.0.1.3680043.8.498.300.1",
        instance_number=1,
        manufacturer="none",
        manufacturer_model_name="none",
        software_versions="0",
        device_serial_number="0",
    )
    seg.save_as(path)
    return path


@pytest.fixture(scope="module")
def whole(hcc_tace_seg_root, tmp_path_factory):
    """All four patients in two parts; HCC_007 has a segmentation, and another's CT as follow-up."""
    folder = tmp_path_factory.mktemp("nbia")
    root = hcc_tace_seg_root
    seg = segmentation(root, folder / "seg.dcm")
    study = FOLDERS["HCC_007"][0]
    first = [
        ct_of(root, "HCC_007"),
        Series("HCC_007", study, "300.000000-Segmentation-45632", [seg]),
        ct_of(root, "HCC_009"),
    ]
    later = Series("HCC_007", *LATER, sample_files(root, "HCC_048"))
    second = [ct_of(root, "HCC_015"), ct_of(root, "HCC_048"), later]
    nbia_download.write(folder / "dicom", first)
    return nbia_download.write(folder / "dicom", second, name="manifest-1700000000000")


def cohort(root, dicom, *patient_ids, chosen=None, source="boxes", path=None):
    return cohort_slices(
        patient_ids,
        dicom,
        source,
        path or root / "lesion_boxes.csv",
        chosen_series=chosen or {},
        workers=1,
    )


def series_of(root, patient_id):
    return next(iter(series.folder(root / "dicom" / patient_id).series))


def ids(table):
    return table["patient_id"].unique().tolist()


def rule_and_words(cohort, patient_id):
    """The only problem of a patient."""
    ((_, rule, words, _),) = cohort.problems[cohort.problems["patient_id"] == patient_id].to_numpy()
    return rule, words


class TestWholeDownload:
    def test_the_inventory_names_what_cannot_be_used(self, whole):
        """The segmentation is no CT; a follow-up that is HCC_048's says another PatientID."""
        table = series.inventory(whole, workers=1)
        found = table.groupby("patient_id", sort=False)["rules"].apply(list).to_dict()
        assert {name: sorted(said) for name, said in found.items()} == {
            "HCC_007": ["", "not_ct multi_frame", "patient_id_mismatch"],
            "HCC_009": [""],
            "HCC_015": [""],
            "HCC_048": ["patient_id_mismatch"],
        }
        assert (table["n_listed"] == table["n_files"]).all()
        assert sorted(table["n_files"]) == [1, 62, 69, 75, 89, 89]

    def test_several_series_are_named_with_the_line_that_settles_it(self, whole, hcc_tace_seg_root):
        """40, 43 and 12 boxes: HCC_007 waits for the line, and with it all slices come."""
        root = hcc_tace_seg_root
        uid = series_of(root, "HCC_007")
        waiting = cohort(root, whole, *ALL)
        rule, words = rule_and_words(waiting, "HCC_007")
        assert rule == "several_series"
        assert "2 CT series could be meant" in words
        assert f'series: {{HCC_007: "{uid}"}} (the ROI was drawn on it)' in words
        assert ids(waiting.table) == ["HCC_009", "HCC_015"]
        settled = cohort(root, whole, *ALL, chosen={"HCC_007": uid})
        assert settled.table.groupby("patient_id").size().tolist() == [40, 43, 12]
        flat = cohort(root, root / "dicom", *ALL)
        assert settled.table.equals(flat.table)
        np.testing.assert_array_equal(settled.pixels_hu, flat.pixels_hu)
        assert settled.problems["rule"].tolist() == ["no_roi"]

    def test_the_segmentation_in_the_download_gives_the_same_boxes(self, whole, hcc_tace_seg_root):
        """It holds the mass on three slices; the liver, the portal vein and the aorta are none."""
        root = hcc_tace_seg_root
        uid = series_of(root, "HCC_007")
        found = cohort(root, whole, "HCC_007", source="seg", path=whole, chosen={"HCC_007": uid})
        boxes = boxes_of(root, "HCC_007").head(3)
        same = found.table.merge(boxes, on=["sop_instance_uid", "lesion", *roi.EDGES])
        assert len(found.table) == len(same) == 3
        _, words = rule_and_words(
            cohort(root, whole, "HCC_007", source="seg", path=whole), "HCC_007"
        )
        assert f'series: {{HCC_007: "{uid}"}} (the ROI was drawn on it)' in words

    def test_the_segmentation_is_found_without_reading_again(self, whole, monkeypatch):
        """Where the patient's images were read, its file is known."""
        found = folders.patient_folders(whole)["HCC_007"]
        images = series.folder(*found, patient_id="HCC_007")
        expected = roi.file_of(whole, "HCC_007", "seg")
        monkeypatch.delattr(roi, "patient_folders")
        assert roi.file_of(whole, "HCC_007", "seg", images) == expected
        assert expected.parent.name == "300.000000-Segmentation-45632"

    def test_a_study_runs_on_it(self, whole, hcc_tace_seg_root, tmp_path):
        """The real study's manifest with another dicom root and that one line."""
        text = STUDY.read_text("utf-8")
        line = f'series: {{HCC_007: "{series_of(hcc_tace_seg_root, "HCC_007")}"}}'
        changed = text.replace("    dicom: dicom\n", f"    dicom: {whole}\n    {line}\n")
        changed = changed.replace("${MANIFEST_DIR}", str(STUDY.parent))
        (tmp_path / "manifest.yaml").write_text(changed, "utf-8")
        study = Manifest.read(tmp_path / "manifest.yaml")
        assert study.folders("hcc_tace_seg") == set(ALL)
        verdict = contract.check(study, tmp_path / "results")
        assert not verdict.refused
        warnings = [str(said) for said in verdict.warnings["hcc_tace_seg"]]
        assert not [said for said in warnings if folders.LISTING in said]
        patients = pd.DataFrame({"patient_id": ALL, "centre": "hcc_tace_seg"})
        found = study_slices.study_slices(study, patients, margin_pixels=5, size=128)
        assert found.table.groupby("patient_id").size().tolist() == [40, 43, 12]
        said = study_slices.warnings_of(found.inventory)
        assert said["patient_id"].tolist() == ["HCC_007", "HCC_048"]
        assert set(said["rule"]) == {"patient_id_mismatch"}
        assert set(said["meaning"]) == {rules.RULES["patient_id_mismatch"].meaning}


class TestHalfADownload:
    """One patient's part is broken; HCC_015's twelve slices come out each time."""

    @pytest.fixture
    def half(self, hcc_tace_seg_root, tmp_path):
        """HCC_009 and HCC_015 as downloaded, to be broken."""
        parts = [ct_of(hcc_tace_seg_root, name) for name in ("HCC_009", "HCC_015")]
        return nbia_download.write(tmp_path / "dicom", parts)

    @pytest.fixture
    def broken(self, half):
        """HCC_009's series."""
        return nbia_download.folder_of(half, "HCC_009").joinpath(*FOLDERS["HCC_009"])

    @pytest.fixture
    def result(self, half, hcc_tace_seg_root):
        """A function that prepares the two; HCC_015 must come out whatever happens."""

        def of_two():
            found = cohort(hcc_tace_seg_root, half, "HCC_009", "HCC_015")
            assert (found.table["patient_id"] == "HCC_015").sum() == 12
            return found

        return of_two

    @pytest.fixture
    def lesion(self, broken, hcc_tace_seg_root):
        """HCC_009's files, those on which the lesion is and the others, by height."""
        named = set(boxes_of(hcc_tace_seg_root, "HCC_009")["sop_instance_uid"])
        found = {True: [], False: []}
        headers = next(iter(series.folder(broken).series.values()))
        for header in sorted(headers, key=lambda header: header.position_mm[2]):
            found[header.sop_instance_uid in named].append(header.path)
        assert [len(found[True]), len(found[False])] == [43, 26]
        return found

    def test_fewer_files_than_listed_warn_where_the_lesion_is_whole(self, result, lesion):
        """The lowest two slices of 69 never came; they show no lesion."""
        for path in lesion[False][:2]:
            path.unlink()
        found = result()
        assert ids(found.table) == ["HCC_009", "HCC_015"]
        assert found.problems.empty
        row = found.inventory.iloc[0]
        assert row[["n_files", "n_listed", "status", "rules"]].tolist() == [
            *(67, 69, "warn", "fewer_files_than_listed"),
        ]
        (said,) = study_slices.warnings_of(found.inventory).to_numpy().tolist()
        assert said[:2] == ["HCC_009", "fewer_files_than_listed"]
        assert "download the series again: 67 of 69 files are there" in said[2]

    def test_fewer_files_than_listed_explain_why_the_lesion_is_not_whole(self, result, lesion):
        """Five of the lesion's 43 slices never came."""
        for path in lesion[True][:5]:
            path.unlink()
        rule, words = rule_and_words(result(), "HCC_009")
        assert rule == "unresolved_reference"
        assert "to which the ROI refers (5 of its 43 slices are missing)" in words
        assert "metadata.csv lists 69 images of the series, 64 are there" in words
        assert "download the series again" in words

    def test_slices_that_are_not_there_are_counted_without_a_list_too(self, result, half, lesion):
        (half / nbia_download.MANIFEST / "metadata.csv").unlink()
        for path in lesion[True]:
            path.unlink()
        rule, words = rule_and_words(result(), "HCC_009")
        assert rule == "unresolved_reference"
        assert "43 of its 43 slices" in words
        assert "the download may be incomplete" in words

    def test_a_file_cut_in_its_pixels_is_its_patients_problem(self, result, lesion):
        path = lesion[True][20]
        content = path.read_bytes()
        path.unlink()
        path.write_bytes(content[:-1000])
        found = result()
        assert rule_and_words(found, "HCC_009")[0] == "unreadable_pixels"
        assert found.problems["file"].tolist() == [str(path)]

    def test_a_file_cut_in_its_header_is_named_where_its_slice_is_missing(self, result, lesion):
        """It belongs to no series then: the inventory has a row for it, the problem its name."""
        path = lesion[True][20]
        content = path.read_bytes()
        path.unlink()
        path.write_bytes(content[:400])
        found = result()
        rule, words = rule_and_words(found, "HCC_009")
        assert rule == "unresolved_reference"
        assert "1 of its 43 slices" in words
        assert "1 file(s) cannot be read" in words
        assert path.name in words
        assert found.inventory["rules"].tolist()[:2] == [
            "fewer_files_than_listed missing_slices",
            "unreadable_file",
        ]

    def test_an_empty_file_is_named_too(self, result, lesion):
        lesion[True][20].unlink()
        lesion[True][20].touch()
        assert "1 file(s) cannot be read" in rule_and_words(result(), "HCC_009")[1]

    @pytest.mark.parametrize("left", ["text", "segmentation"])
    def test_a_folder_without_a_ct_is_its_patients_problem(
        self, result, broken, hcc_tace_seg_root, left
    ):
        shutil.rmtree(broken)
        broken.mkdir()
        if left == "text":
            (broken / "README.txt").write_text("the images follow", "utf-8")
        else:
            segmentation(hcc_tace_seg_root, broken / "1-1.dcm")
        rule, words = rule_and_words(result(), "HCC_009")
        assert rule == "no_usable_series"
        assert ("no DICOM file at all" if left == "text" else ": not_ct") in words
        assert "download it again" in words

    def test_a_gap_beside_the_lesion_warns(self, result, half, lesion):
        (half / nbia_download.MANIFEST / "metadata.csv").unlink()
        lesion[False][3].unlink()
        found = result()
        assert found.problems.empty
        assert found.inventory["rules"].tolist() == ["missing_slices", ""]
