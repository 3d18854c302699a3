"""The demo study on disk: whole, the same each time, and made only once."""

from __future__ import annotations

import shutil

import pandas as pd
import pytest

from hcc_utils.demo import study
from hcc_utils.imaging.study_slices import study_slices
from hcc_utils.study import results
from hcc_utils.study.manifest import Manifest

pytestmark = pytest.mark.slow  # draws the images of 65 patients


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    out = tmp_path_factory.mktemp("demo")
    study.make(out, 60)
    return out


def contents(folder):
    """Each file's SHA-256 by its path."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): results.sha256(path) for path in files}


def test_checksums_are_those_of_every_file(demo):
    for hospital in sorted(demo.glob("hospital_?")):
        lines = (hospital / "SHA256SUMS").read_text("utf-8").splitlines()
        listed = {path: digest for digest, path in (line.split("  ") for line in lines)}
        found = contents(hospital)
        found.pop("SHA256SUMS")
        assert listed == found


def test_everyone_with_a_ct_has_a_series_and_a_lesion(demo):
    """66 patients, of whom one was drawn for the reason that there is no CT."""
    manifest = Manifest.read(demo / "data_manifest.yaml")
    series = {name: manifest.folders(name) for name in manifest.centres}
    assert sum(len(folders) for folders in series.values()) == 65
    for name, folders in series.items():
        path = manifest.path(name, "roi")
        if path.is_file():
            assert list(path.parent.iterdir()) == [path]
            assert set(pd.read_csv(path, dtype=str)["patient_id"]) == folders
        else:
            assert {file.name.split(".")[0] for file in path.iterdir()} == folders


def test_every_form_of_outline_leads_to_slices(demo):
    """SEG at two hospitals, RTSTRUCT, NIfTI and a table of boxes at one each; nobody is lost."""
    manifest = Manifest.read(demo / "data_manifest.yaml")
    sources = {}
    for name in manifest.centres:
        everyone = pd.DataFrame({"patient_id": sorted(manifest.folders(name)), "centre": name})
        found = study_slices(manifest, everyone, margin_pixels=5, size=16)
        assert found.problems.empty
        assert set(found.table["patient_id"]) == set(everyone["patient_id"])
        (sources[name[-1]],) = set(found.table["roi_source"])
    assert sources == {"a": "seg", "b": "seg", "c": "rtstruct", "d": "nifti", "e": "boxes"}


def test_a_finished_study_is_left_as_it_is(demo):
    before = {path: path.stat().st_mtime_ns for path in demo.rglob("*")}
    study.make(demo, 60)
    assert {path: path.stat().st_mtime_ns for path in demo.rglob("*")} == before


def test_an_interrupted_study_is_gone_on_with(demo, tmp_path):
    """What was drawn stays, what is missing is drawn, and the bytes are the same."""
    out = tmp_path / "demo"
    shutil.copytree(demo, out)
    (out / "demo.json").rename(out / ".demo_begun.json")
    for name in ("hospital_c/dicom/C001", "hospital_e/dicom/E001"):
        shutil.rmtree(out / name)
    kept = out / "hospital_c" / "dicom" / "C002"
    before = kept.stat().st_mtime_ns
    study.make(out, 60)
    assert contents(out) == contents(demo)
    assert kept.stat().st_mtime_ns == before


def test_other_settings_replace_the_study(demo, tmp_path):
    out = tmp_path / "demo"
    shutil.copytree(demo, out)
    study.make(out, 60, seed=7)
    first, second = contents(demo), contents(out)
    assert first["hospital_c/patients.csv"] != second["hospital_c/patients.csv"]
    assert not set(first.values()) & {
        digest for path, digest in second.items() if path.endswith(".dcm")
    }
