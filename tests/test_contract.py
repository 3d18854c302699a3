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
