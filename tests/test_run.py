"""The whole path, from a wheel in an empty folder: demo, run, book, and what a second run does."""

from __future__ import annotations

import fcntl
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from dicom_files import ct_slice

from hcc_utils.study import results

ROOT = Path(__file__).parents[1]
STUDY = Path("results/demo_60")
DEVELOPMENT = [
    "01_cohort", "02_preprocessing", "03_cnn", "04_comparison", "05_nomogram_dca", "06_survival"
]  # fmt: skip


class Place:
    """An empty folder with the wheel installed beside it, and the command run there."""

    def __init__(self, folder: Path) -> None:
        self.site = folder / "site"
        self.cwd = folder / "empty"
        self.cwd.mkdir()
        wheels = folder / "wheels"
        build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(wheels)]
        subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
        (wheel,) = wheels.glob("*.whl")
        install = ["--no-deps", "--no-index", "--quiet", "--target", str(self.site), str(wheel)]
        subprocess.run([sys.executable, "-m", "pip", "install", *install], check=True)

    def hcc(self, *words: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PYTHONPATH": str(self.site), "COLUMNS": "200"}
        command = [sys.executable, "-c", "from hcc_utils.cli import main; main()", *words]
        return subprocess.run(
            command, cwd=self.cwd, env=environment, capture_output=True, text=True, check=False
        )

    def run(self, *more: str) -> subprocess.CompletedProcess[str]:
        manifest = "data/data_manifest.yaml"
        return self.hcc("run", "--manifest", manifest, "--profile", "tiny", "--cores", "2", *more)

    @property
    def study(self) -> Path:
        return self.cwd / STUDY

    def table(self, hospital: str) -> Path:
        return self.cwd / "data" / hospital / "patients.csv"

    def ran(self) -> list[str]:
        """The notebooks that the last run started, as "centre · stage"."""
        log = (self.study / "run.log").read_text("utf-8")
        return sorted(re.findall(r"^hcc: start (.*)$", log, re.MULTILINE))


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """The tiny demo study, made and run once."""
    place = Place(tmp_path_factory.mktemp("wheel"))
    made = place.hcc("demo", "--out", "data", "--patients", "60")
    assert made.returncode == 0, made.stderr
    place.first = place.run()
    return place


@pytest.fixture
def restored(place):
    """The place, with its tables put back as they were at the end."""
    kept = {path: path.read_bytes() for path in (place.cwd / "data").rglob("*.csv")}
    sums = {path: path.read_bytes() for path in (place.cwd / "data").rglob("SHA256SUMS")}
    yield place
    for path, content in (kept | sums).items():
        if path.read_bytes() != content:
            path.write_bytes(content)


def spoil(place, hospital):
    """Put words where the second column of the first patient is a number or code."""
    path = place.table(hospital)
    lines = path.read_text("utf-8").splitlines()
    cells = lines[1].split(",")
    lines[1] = ",".join([cells[0], "not a value", *cells[2:]])
    path.write_text("\n".join(lines) + "\n", "utf-8")
    sums = path.parent / "SHA256SUMS"  # made to fit: the content is what is to be found wrong
    fitting = f"{results.sha256(path)}  patients.csv"
    kept = [line for line in sums.read_text("utf-8").splitlines() if "patients.csv" not in line]
    sums.write_text("\n".join([*kept, fitting]) + "\n", "utf-8")


def test_the_first_run_ends_with_the_book_s_path(place):
    assert place.first.returncode == 0, place.first.stdout + place.first.stderr
    assert place.first.stdout.rstrip().endswith(f"The book: {STUDY}/book/index.html")
    assert (place.study / "book" / "index.html").is_file()


def test_the_notebooks_came_from_the_wheel(place):
    assert (place.site / "hcc_utils" / "assets" / "notebooks" / "01_cohort.ipynb").is_file()


def test_development_comes_before_validation_and_all_are_run(place):
    centres = {line.split(" · ")[0] for line in place.ran()}
    validation = {"hospital_c", "hospital_d", "hospital_e"}
    assert centres == {"development", *validation, *results.TOGETHER.values()}
    stages = [line.split(" · ")[1] for line in place.ran() if line.startswith("development")]
    assert stages == DEVELOPMENT


def test_every_stage_left_its_tables_and_their_provenance(place):
    run = json.loads((place.study / "development" / "03_cnn.run.json").read_text())
    assert run["parameters"]["profile"] == "tiny"
    assert set(run["outputs_sha256"]) >= {"scores_d.csv", "network.safetensors"}
    assert all(len(digest) == 64 for digest in run["inputs_sha256"].values())


def test_what_identifies_is_said_of_each_hospital_in_a_line(place):
    said = re.findall(r"^(hospital_.): (\d+) identifying attributes in", place.first.stdout, re.M)
    assert [hospital for hospital, _ in said] == [f"hospital_{letter}" for letter in "abcde"]
    assert (place.study / "privacy" / "hospital_a.csv").is_file()


def test_what_may_leave_has_passed_its_gate_and_left_no_draft(place):
    for hospital in ("hospital_c", "hospital_d", "hospital_e"):
        assert (place.study / hospital / "export.json").is_file()
    assert (place.study / "bundle" / "bundle.json").is_file()
    drafts = [path.name for path in place.study.rglob(".*") if path.name != ".lock"]
    assert not [name for name in drafts if name.startswith((".export", ".bundle", ".book"))]


def test_origins_on_disk_are_what_they_must_be(place):
    for centre in ("hospital_c", "hospital_d", "hospital_e"):
        scores = pd.read_csv(place.study / centre / "scores.csv")
        assert set(scores["origin"]) == {"external"}
    scores = pd.read_csv(place.study / "development" / "scores.csv")
    assert set(scores.groupby("model")["origin"].first().items()) == {
        ("cs", "out_of_fold"), ("d", "out_of_fold"), ("csd", "stacked")
    }  # fmt: skip


def test_every_page_says_that_the_data_are_synthetic(place):
    pages = [
        path for path in (place.study / "book").rglob("*.html")
        if path.name not in ("genindex.html", "search.html") and "_static" not in path.parts
    ]  # fmt: skip
    assert len(pages) > 25
    unstamped = [p.name for p in pages if "no clinical meaning" not in p.read_text("utf-8")]
    assert not unstamped


def test_a_second_run_does_nothing(place):
    before = {p: p.stat().st_mtime_ns for p in place.study.rglob("*.done.json")}
    again = place.run()
    assert again.returncode == 0
    assert place.ran() == []
    assert {p: p.stat().st_mtime_ns for p in place.study.rglob("*.done.json")} == before


def test_a_changed_sentence_reruns_its_notebook_and_what_depends_on_it(place):
    path = place.site / "hcc_utils" / "assets" / "notebooks" / "06_survival.ipynb"
    path.write_text(path.read_text("utf-8").replace("## The groups", "## The two groups"), "utf-8")
    assert place.run().returncode == 0
    stages = {line.split(" · ")[1] for line in place.ran()}
    assert stages == {"06_survival", "07_pooled"}
    page = place.study / "book" / "development" / "06_survival.html"
    assert "The two groups" in page.read_text("utf-8")


def test_a_wrong_validation_centre_is_refused_and_the_rest_run(restored):
    spoil(restored, "hospital_d")
    before = (restored.study / "hospital_d" / "metrics.csv").read_bytes()
    ended = restored.run()
    assert ended.returncode == 3, ended.stdout + ended.stderr
    accepted = json.loads((restored.study / "accepted.json").read_text())
    assert accepted["accepted"] == ["hospital_c", "hospital_e"]
    page = (restored.study / "book" / "centres" / "hospital_d.html").read_text("utf-8")
    assert "patients.csv" in page
    assert not (restored.study / "book" / "hospital_d").exists()
    assert (restored.study / "hospital_d" / "metrics.csv").read_bytes() == before


@pytest.fixture
def screenshot(place):
    """A secondary capture among the images of hospital_e's first patient."""
    folder = next(path for path in sorted((place.cwd / "data/hospital_e/dicom").iterdir()))
    image = ct_slice(0, 0.0, patient_id=folder.name, series=9)
    image.SOPClassUID = image.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    path = folder / "dose.dcm"
    image.save_as(path, enforce_file_format=True)
    yield path
    path.unlink()


def test_a_screenshot_refuses_a_hospital_until_somebody_answers_for_it(place, screenshot):
    patient = screenshot.parent.name
    ended = place.run()
    assert ended.returncode == 3, ended.stdout + ended.stderr
    page = (place.study / "book" / "centres" / "hospital_e.html").read_text("utf-8")
    for said in (page, " ".join(ended.stdout.split())):
        assert "/dose.dcm: secondary capture" in said
        assert "allow secondary_capture" in said
        assert patient not in said
    ended = place.run("--allow", "secondary_capture")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "hospital_e · 02_preprocessing" in place.ran()
    run = json.loads((place.study / "hospital_e" / "02_preprocessing.run.json").read_text())
    assert run["privacy"]["hospital_e"]["allowed"] == {"secondary_capture": 1}


def test_a_wrong_development_centre_stops_everything(restored):
    spoil(restored, "hospital_a")
    spoil(restored, "hospital_c")
    log = (restored.study / "run.log").stat().st_mtime_ns
    ended = restored.run()
    assert ended.returncode == 2
    assert "hospital_a/patients.csv" in ended.stderr
    assert "hospital_c/patients.csv" in ended.stderr, "all problems are listed"
    assert "Traceback" not in ended.stderr
    assert (restored.study / "run.log").stat().st_mtime_ns == log, "nothing ran"
    assert (restored.study / "book" / "index.html").is_file()


def test_two_runs_of_one_study_do_not_meet(place):
    with (place.study / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        ended = place.run()
    assert ended.returncode == 2
    assert "another run of this study is under way" in ended.stderr


def test_a_failing_notebook_is_named_and_its_traceback_kept(place):
    path = place.site / "hcc_utils" / "assets" / "notebooks" / "05_nomogram_dca.ipynb"
    kept = path.read_text("utf-8")
    path.write_text(kept.replace("curve = comparison", "curve = comparisons"), "utf-8")
    ended = place.run()
    path.write_text(kept, "utf-8")
    assert ended.returncode == 1
    assert re.search(
        r"FAILED notebooks/05_nomogram_dca.ipynb \(cell \d+\), development", ended.stdout
    )
    executed = place.study / "development" / "notebooks" / "05_nomogram_dca.ipynb"
    assert "NameError" in executed.read_text("utf-8")
    assert (place.study / "book" / "index.html").is_file(), "the earlier book stays"
