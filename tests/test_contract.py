"""The gate: what stops a study, what refuses a centre, what is only a warning."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import small_study

from hcc_utils import checks
from hcc_utils.demo import boxes, hospitals, patients, study
from hcc_utils.orchestration import contract
from hcc_utils.study.manifest import Manifest

REAL = Path(__file__).parents[1] / "studies" / "hcc_tace_seg" / "manifest.yaml"


def _break(folder: Path, name: str) -> None:
    """A patient of hospital `name` is 17 years old."""
    path = folder / name / "patients.csv"
    path.write_text(path.read_text("utf-8").replace("1,61,", "1,17,"), "utf-8")


def _with_images(folder: Path, name: str, *ids: str, **more: object) -> Manifest:
    """The small study where validation centre `name` has these patients' folders."""
    manifest = small_study.write(folder)
    for patient in ids:
        (folder / name / "dicom" / patient).mkdir(parents=True)
        (folder / name / "dicom" / patient / "1.dcm").touch()
    roles = {"a": "development", "b": "validation", "c": "validation"}
    centres = {key: small_study.centre(key, role) for key, role in roles.items()}
    centres[name] |= {"dicom": f"{name}/dicom", **more}
    return Manifest.read(small_study.write(manifest.parent, manifest={"centres": centres}))


def _refused(study: Manifest, folder: Path, name: str = "b") -> list[str]:
    """Why this centre is refused, in full."""
    verdict = contract.check(study, folder / "results")
    assert name not in verdict.accepted
    return [str(problem) for problem in verdict.refused[name]]


def test_sound_centres_are_accepted(tmp_path: Path) -> None:
    verdict = contract.check(small_study.read(tmp_path), tmp_path / "results")
    assert verdict.accepted == ("b", "c")
    assert not verdict.refused


def test_wrong_validation_centre_is_refused_alone(tmp_path: Path) -> None:
    study = small_study.read(tmp_path)
    _break(tmp_path, "b")
    verdict = contract.check(study, tmp_path / "results")
    assert verdict.accepted == ("c",)
    assert list(verdict.refused) == ["b"]


def test_verdict_is_written(tmp_path: Path) -> None:
    study = small_study.read(tmp_path)
    _break(tmp_path, "b")
    contract.check(study, tmp_path / "results")
    written = json.loads((tmp_path / "results" / "accepted.json").read_text("utf-8"))
    assert written["accepted"] == ["c"]
    (line,) = written["refused"]["b"]
    assert line.startswith("b/patients.csv:2: column 'Age' (age_years): must lie from 18 to 110")
    assert "17" not in line
    assert set(written["warnings"]) == {"a", "c"}


def test_wrong_development_centre_stops_all_and_lists_all(tmp_path: Path) -> None:
    study = small_study.read(tmp_path)
    _break(tmp_path, "a")
    _break(tmp_path, "b")
    with pytest.raises(checks.Problems) as caught:
        contract.check(study, tmp_path / "results")
    assert [line.split(":")[0] for line in caught.value.lines] == [
        "a/patients.csv",
        "b/patients.csv",
    ]


def test_wrong_codebooks_stop_all_and_all_are_listed(tmp_path: Path) -> None:
    study = small_study.read(tmp_path)
    for name in ("a", "c"):
        small_study.codebook(tmp_path, name, agee={"column": "Age"})
    with pytest.raises(checks.Problems) as caught:
        contract.check(study, tmp_path / "results")
    assert len(caught.value.lines) == 2
    assert all("columns.agee: is not in the vocabulary" in line for line in caught.value.lines)


def test_earlier_results_stay_where_nothing_may_run(tmp_path: Path) -> None:
    study = small_study.read(tmp_path)
    contract.check(study, tmp_path / "results")
    before = (tmp_path / "results" / "accepted.json").read_bytes()
    _break(tmp_path, "a")
    with pytest.raises(checks.Problems):
        contract.check(study, tmp_path / "results")
    assert (tmp_path / "results" / "accepted.json").read_bytes() == before
    assert [path.name for path in (tmp_path / "results").iterdir()] == ["accepted.json"]


def test_missing_data_root_is_said_once(tmp_path: Path) -> None:
    study = small_study.read(tmp_path, data_root="nowhere")
    with pytest.raises(checks.Problems, match="must be a folder that exists") as caught:
        contract.check(study, tmp_path / "results")
    assert len(caught.value.lines) == 1


def test_one_patient_in_two_centres(tmp_path: Path) -> None:
    """b's first patient is a1: b is refused, not a, whose patients the models are fitted on."""
    study = small_study.read(tmp_path)
    path = tmp_path / "b" / "patients.csv"
    path.write_text(path.read_text("utf-8").replace("b1,", "a1,"), "utf-8")
    assert _refused(study, tmp_path) == [
        "b/patients.csv: a patient_id must stand in one centre alone; some stand in a too; got a1."
    ]


def test_one_patient_in_two_validation_centres_refuses_both(tmp_path: Path) -> None:
    study = small_study.read(tmp_path)
    (tmp_path / "c" / "patients.csv").write_bytes((tmp_path / "b" / "patients.csv").read_bytes())
    verdict = contract.check(study, tmp_path / "results")
    assert list(verdict.refused) == ["b", "c"]


class TestImages:
    def test_complete_folders_pass(self, tmp_path: Path) -> None:
        study = _with_images(tmp_path, "b", "b1", "b2", "b3", "b4")
        verdict = contract.check(study, tmp_path / "results")
        assert "b" in verdict.accepted

    def test_missing_dicom_root(self, tmp_path: Path) -> None:
        lines = _refused(_with_images(tmp_path, "b"), tmp_path)
        assert lines == ["centres.b.dicom: b/dicom: the DICOM root must be a folder that exists."]

    def test_folder_without_a_row(self, tmp_path: Path) -> None:
        lines = _refused(_with_images(tmp_path, "b", "b1", "b9"), tmp_path)
        assert lines == [
            "b/dicom: each folder must be named by a patient_id of the table; 1 are not; got b9."
        ]

    def test_patient_without_a_folder_where_the_table_says_ct(self, tmp_path: Path) -> None:
        study = _with_images(tmp_path, "b", "b1", "b2")
        small_study.codebook(tmp_path, "b", has_ct={"constant": True})
        lines = _refused(study, tmp_path)
        assert len(lines) == 1
        assert "must have a folder with images; 2 have none; got b3, b4." in lines[0]

    def test_patient_without_a_folder_is_a_warning_elsewhere(self, tmp_path: Path) -> None:
        study = _with_images(tmp_path, "b", "b1", "b2")
        verdict = contract.check(study, tmp_path / "results")
        said = [str(warning) for warning in verdict.warnings["b"]]
        assert any("has_ct is false for them; got 2 of 4: b3, b4" in warning for warning in said), (
            said
        )

    def test_series_of_nobody(self, tmp_path: Path) -> None:
        study = _with_images(tmp_path, "b", "b1", series={"b9": "1.2.3"})
        assert "centres.b.series: each patient must have a row" in _refused(study, tmp_path)[0]

    def test_missing_roi(self, tmp_path: Path) -> None:
        study = _with_images(tmp_path, "b", "b1", roi={"source": "seg", "path": "b/roi"})
        assert _refused(study, tmp_path) == ["centres.b.roi.path: b/roi: must be there and is not."]


class TestDownloads:
    """What the archive's list of a download says is there, against what is there."""

    def _study(self, folder: Path, lines: str) -> Manifest:
        """Hospital b's patients b1 to b4 with a file each in a download with this list."""
        study = _with_images(folder, "b", "b1")
        root = folder / "b" / "dicom"
        (root / "b1" / "1.dcm").unlink()
        (root / "b1").rmdir()
        for number in range(1, 5):
            series = root / "manifest-1" / "HCC" / f"b{number}" / "study" / "series"
            series.mkdir(parents=True)
            (series / "1-1.dcm").touch()
        header = "Series UID,Number of Images,File Location"
        (root / "manifest-1" / "metadata.csv").write_text(f"{header}\n{lines}", "utf-8")
        return study

    def _warnings(self, folder: Path, lines: str) -> list[str]:
        verdict = contract.check(self._study(folder, lines), folder / "results")
        assert "b" in verdict.accepted
        return [str(said) for said in verdict.warnings["b"] if "metadata" in said.where]

    def test_a_complete_download_passes(self, tmp_path: Path) -> None:
        lines = [f"1.{n},1,.\\HCC\\b{n}\\study\\series\n" for n in range(1, 5)]
        assert self._warnings(tmp_path, "".join(lines)) == []

    def test_what_did_not_come_is_a_warning_with_its_patients(self, tmp_path: Path) -> None:
        """b1 has one of three files; b5's series has no folder at all."""
        lines = "1.1,3,./HCC/b1/study/series\n1.2,1,./HCC/b2/study/series\n"
        (said,) = self._warnings(tmp_path, lines + "1.5,7,./HCC/b5/study/series\n")
        assert said == (
            "b/dicom: manifest-1/metadata.csv: 2 of its 3 series hold fewer files than it lists; "
            "got b1 (1 of 3), b5 (0 of 7). Download them again."
        )

    def test_a_damaged_list_is_a_warning_with_its_lines(self, tmp_path: Path) -> None:
        (said,) = self._warnings(tmp_path, "1.1,1,./HCC/b1/study/series\n1.2,1,./HC")
        assert "is damaged: lines without a number of images or a folder are left out" in said
        assert said.endswith("got 3. Download the collection again.")

    def test_images_moved_away_from_their_list_say_nothing(self, tmp_path: Path) -> None:
        study = self._study(tmp_path, "1.1,3,./HCC/b1/study/series\n")
        root = tmp_path / "b" / "dicom" / "manifest-1"
        (root / "HCC").rename(root / "images")
        verdict = contract.check(study, tmp_path / "results")
        assert "b" in verdict.accepted
        assert not [said for said in verdict.warnings["b"] if "metadata" in said.where]


class TestLandmarks:
    def _study(self, folder: Path, lines: str, **more: object) -> Manifest:
        study = _with_images(folder, "b", "b1", landmarks="b/landmarks.csv", **more)
        header = "patient_id,tissue,slice_z_mm,row,column"
        (folder / "b" / "landmarks.csv").write_text(f"{header}\n{lines}", "utf-8")
        return study

    def test_sound_landmarks_pass(self, tmp_path: Path) -> None:
        study = self._study(tmp_path, "b1,air,-10.5,20,20\n")
        assert "b" in contract.check(study, tmp_path / "results").accepted

    def test_a_wrong_table_is_named_with_its_lines(self, tmp_path: Path) -> None:
        lines = _refused(self._study(tmp_path, "b1,air,0,4,4\n\nb1,lver,0,4,4.5\n"), tmp_path)
        assert lines == [
            (
                "b/landmarks.csv:4: tissue: must be one of air, fat, muscle, liver, spleen, "
                "portal_vein, aorta; got 'lver' (nearest: 'liver')."
            ),
            "b/landmarks.csv:4: column: must be a whole number from 0; got '4.5'.",
        ]

    def test_a_landmark_of_nobody_is_refused(self, tmp_path: Path) -> None:
        (line,) = _refused(self._study(tmp_path, "b9,air,0,4,4\n"), tmp_path)
        assert line == "centres.b.landmarks: each patient must have a row in the table; got b9."

    def test_landmarks_without_images_are_refused(self, tmp_path: Path) -> None:
        study = self._study(tmp_path, "b1,air,0,4,4\n", dicom=None)
        assert "needs the centre's dicom folder" in _refused(study, tmp_path)[0]

    def test_a_missing_table_is_named(self, tmp_path: Path) -> None:
        study = self._study(tmp_path, "")
        (tmp_path / "b" / "landmarks.csv").unlink()
        assert _refused(study, tmp_path) == ["b/landmarks.csv: there is no such file."]


class TestChecksums:
    def _study(self, folder: Path, listed: str) -> Manifest:
        study = _with_images(folder, "b", "b1", checksums="b/SHA256SUMS")
        (folder / "b" / "SHA256SUMS").write_text(listed, "utf-8")
        return study

    def _sums(self, folder: Path) -> str:
        """The sound sums of hospital b's table and image, as sha256sum writes them."""
        table = hashlib.sha256(small_study.table("b").encode()).hexdigest()
        empty = hashlib.sha256(b"").hexdigest()
        return f"{table}  patients.csv\n{empty} *dicom/b1/1.dcm\n"

    def test_sound_sums_pass(self, tmp_path: Path) -> None:
        study = self._study(tmp_path, self._sums(tmp_path))
        assert "b" in contract.check(study, tmp_path / "results").accepted

    def test_changed_image(self, tmp_path: Path) -> None:
        study = self._study(tmp_path, self._sums(tmp_path))
        (tmp_path / "b" / "dicom" / "b1" / "1.dcm").write_bytes(b"\0")
        line = _refused(study, tmp_path)[0]
        assert line.startswith("b/SHA256SUMS:2: lists a file whose SHA-256 is another now")
        assert line.endswith("got dicom/b1/1.dcm.")

    def test_lost_file(self, tmp_path: Path) -> None:
        study = self._study(tmp_path, self._sums(tmp_path) + "0" * 64 + "  x.dcm\n")
        assert _refused(study, tmp_path) == [
            "b/SHA256SUMS:3: lists a file that is not there; got x.dcm."
        ]

    def test_table_that_is_not_listed(self, tmp_path: Path) -> None:
        listed = self._sums(tmp_path).splitlines(keepends=True)[1]
        assert _refused(self._study(tmp_path, listed), tmp_path) == [
            "b/SHA256SUMS: must list the table (patients.csv)."
        ]

    def test_line_that_is_no_sum(self, tmp_path: Path) -> None:
        study = self._study(tmp_path, self._sums(tmp_path) + "patients.csv\n")
        assert "b/SHA256SUMS:3: must be '<64 hexadecimal" in _refused(study, tmp_path)[0]

    def test_missing_list(self, tmp_path: Path) -> None:
        study = self._study(tmp_path, "")
        (tmp_path / "b" / "SHA256SUMS").unlink()
        assert _refused(study, tmp_path) == ["b/SHA256SUMS: there is no such file."]


class TestWarnings:
    def _warnings(self, folder: Path, old: str, new: str) -> list[str]:
        study = small_study.read(folder)
        path = folder / "b" / "patients.csv"
        path.write_text(path.read_text("utf-8").replace(old, new), "utf-8")
        verdict = contract.check(study, folder / "results")
        assert "b" in verdict.accepted
        return [str(warning) for warning in verdict.warnings["b"]]

    def test_too_few_events(self, tmp_path: Path) -> None:
        """Two of the four patients have the event; ten are asked for."""
        said = self._warnings(tmp_path, "", "")
        assert len(said) == 1
        assert "fewer than 10 patients with or without the event" in said[0]
        assert said[0].endswith("got 2 events in 4 patients.")

    def test_single_class(self, tmp_path: Path) -> None:
        study = small_study.read(tmp_path)
        rows = small_study.table("b").splitlines()
        (tmp_path / "b" / "patients.csv").write_text("\n".join([rows[0], rows[1], rows[4]]))
        verdict = contract.check(study, tmp_path / "results")
        assert "b" in verdict.accepted
        assert "all patients are without the event" in str(verdict.warnings["b"][0])

    def test_unknown_outcome(self, tmp_path: Path) -> None:
        said = self._warnings(tmp_path, "12.5,0,0,0,30", "12.5,,0,,30")
        assert any("is not known for some patients; got 1" in line for line in said)

    def test_numbers_that_often_mean_not_known(self, tmp_path: Path) -> None:
        study = small_study.read(tmp_path)
        text = small_study.table("b").replace(",12.5,", ",999,").replace(",400,", ",999,")
        (tmp_path / "b" / "patients.csv").write_text(text, "utf-8")
        verdict = contract.check(study, tmp_path / "results")
        said = [str(warning) for warning in verdict.warnings["b"]]
        assert any("afp_ng_ml: 999 stands in several rows" in line for line in said), said


def test_demo_passes(tmp_path: Path) -> None:
    """The tiny demo's own tables and manifest, with an empty file for each patient's images."""
    everyone, truth = patients.make(60)
    hospitals.write(tmp_path, everyone, truth)
    for row in everyone[everyone["has_ct"].astype(bool)].itertuples():
        folder = tmp_path / row.centre / "dicom" / row.patient_id
        folder.mkdir(parents=True)
        (folder / "1.dcm").touch()
    for name in hospitals.HOSPITALS:
        (tmp_path / name / "roi").mkdir()
        table = (tmp_path / name / "patients.csv").read_bytes()
        sums = f"{hashlib.sha256(table).hexdigest()}  patients.csv\n"
        (tmp_path / name / "SHA256SUMS").write_text(sums, "utf-8")
    (tmp_path / "hospital_e" / "roi" / boxes.TABLE).touch()
    (tmp_path / "m.yaml").write_text(study.manifest_text(".", 60), "utf-8")
    verdict = contract.check(Manifest.read(tmp_path / "m.yaml"), tmp_path / "results")
    assert verdict.accepted == ("hospital_c", "hospital_d", "hospital_e")


@pytest.mark.real_data
def test_real_study_passes_with_a_warning(hcc_tace_seg_root: Path, tmp_path: Path) -> None:
    """Four of 105 patients have images in the sample: the other 101 are a warning."""
    verdict = contract.check(Manifest.read(REAL), tmp_path)
    assert not verdict.refused
    (warning,) = verdict.warnings["hcc_tace_seg"]
    assert warning.found.startswith("101 of 105:")


def test_unchanged_files_are_not_read_twice_and_a_change_is_seen(tmp_path: Path) -> None:
    """A file changed behind its size and time passes until either moves: that is the bargain."""
    study = _with_images(tmp_path, "b", "b1", checksums="b/SHA256SUMS")
    table, sums = tmp_path / "b" / "patients.csv", tmp_path / "b" / "SHA256SUMS"
    sums.write_text(f"{hashlib.sha256(table.read_bytes()).hexdigest()}  patients.csv\n", "utf-8")
    folder = tmp_path / "results"
    assert "b" in contract.check(study, folder).accepted
    kept = folder / "fingerprints" / "b.verified"
    first = kept.stat().st_mtime_ns
    assert "b" in contract.check(study, folder).accepted
    assert kept.stat().st_mtime_ns == first
    table.write_text(table.read_text("utf-8") + "\n", "utf-8")
    refused = contract.check(study, folder).refused["b"]
    assert "SHA-256 is another now" in str(refused[0])
    assert "SHA-256 is another now" in str(contract.check(study, folder).refused["b"][0])


@pytest.fixture
def renamed(tmp_path: Path) -> Manifest:
    """Each hospital's capsule column is renamed; their codebooks say that it is optional."""
    study = small_study.read(tmp_path)
    column = {**small_study.CODEBOOK["columns"]["capsule"], "optional": True}  # type: ignore[index]
    for name in "abc":
        small_study.codebook(tmp_path, name, capsule=column)
        table = tmp_path / name / "patients.csv"
        table.write_text(table.read_text("utf-8").replace("Capsule", "Kapsel"), "utf-8")
    return study


def test_development_does_without_models_whose_optional_column_is_lacking(
    tmp_path: Path, renamed: Manifest
) -> None:
    verdict = contract.check(renamed, tmp_path / "results")
    assert set(verdict.chapters) == {"04_comparison", "05_nomogram_dca"}
    assert verdict.chapters["04_comparison"].endswith("models need: Capsule.")
    said = "\n".join(str(problem) for problem in verdict.warnings["a"])
    assert "column 'Capsule': is not in the header" in said
    written = json.loads((tmp_path / "results" / "accepted.json").read_text("utf-8"))
    assert written["chapters"] == dict(verdict.chapters)


def test_a_validation_centre_cannot_be_scored_without_an_optional_column(
    tmp_path: Path, renamed: Manifest
) -> None:
    verdict = contract.check(renamed, tmp_path / "results")
    assert set(verdict.refused) == {"b", "c"}
