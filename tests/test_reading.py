"""The reading gate before a study runs: who is refused, what is said, and what is read again."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import small_study
from dicom_files import ct_slice, store, write_series
from typer.testing import CliRunner

from hcc_utils import checks, cli
from hcc_utils.imaging import privacy
from hcc_utils.orchestration import contract, reading
from hcc_utils.study.manifest import Manifest

SECRET = "Zzsecret"
ROLES = {"a": "development", "b": "validation", "c": "validation"}


def study(folder: Path, **roi: str) -> Manifest:
    """The small study; its hospitals a and b have two patients' images, b also outlines."""
    small_study.write(folder)
    centres = {name: small_study.centre(name, role) for name, role in ROLES.items()}
    for name in ("a", "b"):
        centres[name]["dicom"] = f"{name}/dicom"
        for number in (1, 2):
            write_series(folder / name / "dicom" / f"{name}{number}", z_mm=[0.0, 2.5])
    if roi:
        centres["b"]["roi"] = roi
    return small_study.read(folder, centres=centres)


def screenshot(folder: Path, name: str, patient: str) -> None:
    """A dose screen among a patient's images, with a name in its header."""
    image = ct_slice(7, 0.0, patient_id=patient, series=9)
    image.SOPClassUID = image.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    image.PatientName = f"{SECRET}^Quaxi"
    store(image, np.zeros((24, 20), "<i2"))
    image.save_as(folder / name / "dicom" / patient / "dose.dcm", enforce_file_format=True)


def written(folder: Path, name: str) -> str:
    return (folder / "results" / name).read_text("utf-8")


def test_sound_images_are_reported_and_accepted(tmp_path):
    """Each hospital has four slices, which name their patients."""
    verdict = contract.check(study(tmp_path), tmp_path / "results")
    assert verdict.accepted == ("b", "c")
    assert set(verdict.identifying) == {"a", "b"}
    assert verdict.identifying["b"].endswith("identifying attributes in 4 files")
    assert "PatientID,Z/D,4,b/dicom/[1 of 2]/1-01.dcm" in written(tmp_path, "privacy/b.csv")


class TestAScreenshot:
    """A secondary capture beside the CT, as a hospital's export often has one."""

    def test_a_validation_centre_is_refused_with_the_file_s_place(self, tmp_path):
        manifest = study(tmp_path)
        screenshot(tmp_path, "b", "b2")
        verdict = contract.check(manifest, tmp_path / "results")
        assert verdict.accepted == ("c",)
        (line,) = map(str, verdict.refused["b"])
        assert line.startswith("b/dicom/[2 of 2]/dose.dcm: secondary capture: ")
        assert "--allow secondary_capture" in line
        (kept,) = json.loads(written(tmp_path, "accepted.json"))["refused"]["b"]
        assert kept == line

    def test_nothing_that_is_written_quotes_a_name_or_an_id(self, tmp_path):
        manifest = study(tmp_path)
        screenshot(tmp_path, "b", "b2")
        contract.check(manifest, tmp_path / "results")
        for name in ("accepted.json", "privacy/b.csv", "privacy/b.json"):
            assert SECRET not in written(tmp_path, name)
            assert "b2" not in written(tmp_path, name)

    def test_a_development_centre_stops_all_and_all_is_listed(self, tmp_path):
        manifest = study(tmp_path)
        screenshot(tmp_path, "a", "a1")
        screenshot(tmp_path, "b", "b1")
        (tmp_path / "c" / "patients.csv").write_text("nothing\n", "utf-8")
        with pytest.raises(checks.Problems) as refused:
            contract.check(manifest, tmp_path / "results")
        said = str(refused.value)
        assert "a/dicom/[1 of 2]/dose.dcm" in said
        assert "b/dicom/[1 of 2]/dose.dcm" in said
        assert "c/patients.csv" in said

    def test_it_passes_where_somebody_answers_for_it_and_that_is_kept(self, tmp_path):
        manifest = study(tmp_path)
        screenshot(tmp_path, "b", "b2")
        verdict = contract.check(manifest, tmp_path / "results", allow=["secondary_capture"])
        assert verdict.accepted == ("b", "c")
        assert verdict.identifying["b"].endswith("; allowed: secondary_capture")
        kept = reading.records([reading.record(tmp_path / "results", "b")])
        assert kept["b"]["allowed"] == {"secondary_capture": 1}

    def test_what_was_allowed_once_is_not_allowed_for_ever(self, tmp_path):
        manifest = study(tmp_path)
        screenshot(tmp_path, "b", "b2")
        contract.check(manifest, tmp_path / "results", allow=["secondary_capture"])
        assert "b" in contract.check(manifest, tmp_path / "results").refused

    def test_the_command_says_it_and_takes_the_answer(self, tmp_path):
        manifest = study(tmp_path)
        screenshot(tmp_path, "b", "b2")
        words = ["check", "-m", str(manifest.source), "--results", str(tmp_path / "results")]
        refused = CliRunner().invoke(cli.app, words)
        assert refused.exit_code == 3
        assert "refused: b: b/dicom/[2 of 2]/dose.dcm" in refused.output
        allowed = CliRunner().invoke(cli.app, [*words, "--allow", "secondary_capture"])
        assert allowed.exit_code == 0
        assert "allowed: secondary_capture" in allowed.output


def test_an_unknown_rule_is_named_before_anything_is_read(tmp_path):
    with pytest.raises(checks.InputError, match="nearest: 'secondary_capture'"):
        contract.check(study(tmp_path), tmp_path / "results", allow=["secondary_captures"])
    assert not (tmp_path / "results").exists()


def test_headers_are_read_again_only_where_something_changed(tmp_path, monkeypatch):
    read: list[set[str]] = []

    def reports(roots, **options):
        read.append(set(roots))
        return looked_at(roots, **options)

    looked_at = privacy.reports
    monkeypatch.setattr(privacy, "reports", reports)
    manifest = study(tmp_path)
    first = reading.look(manifest, tmp_path / "results")
    second = reading.look(manifest, tmp_path / "results", allow=["date_or_time"])
    screenshot(tmp_path, "b", "b2")
    reading.look(manifest, tmp_path / "results")
    reading.table(tmp_path / "results", "a").unlink()
    reading.look(manifest, tmp_path / "results")
    assert read == [{"a", "b"}, set(), {"b"}, {"a"}]
    kept = ["attribute", "files", "first_files", "rule"]
    assert second["a"][kept].equals(first["a"][kept])


def test_other_rules_are_looked_for_in_unchanged_files(tmp_path, monkeypatch):
    manifest = study(tmp_path)
    reading.look(manifest, tmp_path / "results")
    (tmp_path / "rules.csv").write_text("another edition of the standard", "utf-8")
    monkeypatch.setattr(reading, "_rules", lambda: [tmp_path / "rules.csv"])
    said: list[tuple[int, int]] = []
    reading.look(manifest, tmp_path / "results", progress=lambda *done: said.append(done))
    assert said[-1] == (8, 8)


@pytest.mark.parametrize(("source", "files"), [("rtstruct", 5), ("nifti", 4)])
def test_outlines_with_headers_are_looked_at_too(tmp_path, source, files):
    manifest = study(tmp_path, source=source, path="b/roi")
    (tmp_path / "b" / "roi").mkdir()
    outline = ct_slice(0, 0.0, patient_id="b1", series=400)
    outline.PatientName = f"{SECRET}^Quaxi"
    outline.save_as(tmp_path / "b" / "roi" / "b1.dcm", enforce_file_format=True)
    found = reading.look(manifest, tmp_path / "results")["b"]
    assert found.attrs["files"] == files
    names = found[found["attribute"] == "PatientName"]
    assert names["first_files"].tolist() == ["b/roi/[1 of 1]"] * (source == "rtstruct")


def test_outlines_among_the_images_are_looked_at_once(tmp_path):
    manifest = study(tmp_path, source="seg", path="b/dicom")
    assert reading.look(manifest, tmp_path / "results")["b"].attrs["files"] == 4


def test_a_centre_without_images_has_no_record(tmp_path):
    reading.look(study(tmp_path), tmp_path / "results")
    assert not reading.record(tmp_path / "results", "c").exists()


@pytest.mark.real_data
def test_the_real_study_is_reported_and_not_refused(hcc_tace_seg_root, tmp_path):
    """295 slices; the collection was de-identified, and one folder holds another PatientID."""
    path = Path(__file__).parents[1] / "studies" / "hcc_tace_seg" / "manifest.yaml"
    verdict = contract.check(Manifest.read(path), tmp_path)
    assert not verdict.refused
    (said,) = verdict.identifying.values()
    assert said.endswith(" in 295 files")
    (kept,) = (tmp_path / "privacy").glob("*.json")
    identifying = json.loads(kept.read_text("utf-8"))["identifying"]
    assert identifying["PatientName"] == 295
    assert "text in the pixels" not in identifying
