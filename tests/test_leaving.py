"""The leaving gate: a planted identity in whatever leaves is refused, and nothing is quoted."""

from __future__ import annotations

import base64
import gzip
import json
import shutil
import subprocess
import zipfile
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import sample_study
import small_study
import yaml
from dicom_files import write_series
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from safetensors.numpy import save_file

from hcc_utils import checks
from hcc_utils.centres import export, identities, leaks
from hcc_utils.evaluation import comparison
from hcc_utils.models import protocol
from hcc_utils.orchestration import book, steps
from hcc_utils.orchestration.plan import Plan
from hcc_utils.study import results
from hcc_utils.study.manifest import Manifest

ID, NAME, BORN, NUMBER = "HCC4711", "Müller-Ost^Änne", "19500302", "40712345"
UID, ACCESSION = "1.2.826.0.1.3680043.8.498.4711.7", "ACC-2020/77"
DATA_ROOT, HOME = "/srv/archive/ct data", "/home/anybody"
VALUES = {
    "patient_id": [ID, NUMBER],
    "PatientName": [NAME],
    "PatientBirthDate": [BORN],
    "AccessionNumber": [ACCESSION],
    "SOPInstanceUID": [UID],
}


def known() -> identities.Identities:
    return identities.of(VALUES, places=[DATA_ROOT, HOME])


def add(path: Path, text: str) -> None:
    """More text at a file's end."""
    path.write_text(path.read_text("utf-8") + text if path.exists() else text, "utf-8")


def picture(path: Path, said: str, *, packed: bool = False) -> None:
    chunks = PngInfo()
    chunks.add_text("Comment", said, zip=packed)
    Image.new("L", (4, 4)).save(path, pnginfo=chunks)


def picture_in_base64(path: Path) -> None:
    picture(path.with_suffix(".png"), ID)
    packed = base64.b64encode(path.with_suffix(".png").read_bytes()).decode()
    path.with_suffix(".png").unlink()
    outputs = [{"data": {"image/png": packed}}]
    add(path, json.dumps({"cells": [{"cell_type": "code", "outputs": outputs, "source": []}]}))


def table_of_names(path: Path) -> None:
    html = "<tr><td>Anne</td><td>x</td></tr>\n<tr><td>MÜLLER-OST</td><td>Änne</td></tr>"
    cell = {"cell_type": "code", "outputs": [{"data": {"text/html": [html]}}], "source": []}
    add(path, json.dumps({"cells": [cell]}))


def array(path: Path, value: str) -> None:
    """A figure's numbers as plotly packs them."""
    packed = base64.b64encode(np.array([1, 2, int(value)], dtype="<i4").tobytes()).decode()
    add(path, f'<script>{{"x": {{"dtype": "i4", "bdata": "{packed}"}}}}</script>')


def archive(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("tables/rows.csv", f"id\n{ID}\n")


def weights(path: Path) -> None:
    save_file({"layer": np.zeros(2, np.float32)}, path, metadata={"trained_on": f"{ID}, others"})


def packed(path: Path) -> None:
    path.write_bytes(gzip.compress(f"started {ID}".encode()))


def dicom(path: Path) -> None:
    write_series(path.parent, z_mm=[0.0], patient_id="")


def arrays(path: Path) -> None:
    np.save(path, np.zeros(3))


def hex_entities(text: str) -> str:
    return "".join(f"&#x{ord(character):x};" for character in text)


PLANTED = {
    # file: (kind, how it gets there); the first ones are the book's own pages
    "index.html": ("patient_id", lambda path: add(path, f"<!-- {ID} -->")),
    "methods.html": ("patient_id", lambda path: add(path, f"<p>{hex_entities(ID)}</p>")),
    "glossary.html": ("PatientName", lambda path: add(path, "<p>Änne Müller-Ost</p>")),
    "data.html": ("PatientBirthDate", lambda path: add(path, "<p>born 1950-03-02</p>")),
    "search.html": ("PatientBirthDate", lambda path: add(path, "<p>born 2.3.1950</p>")),
    "searchindex.js": ("SOPInstanceUID", lambda path: add(path, f'"{UID}"')),
    "genindex.html": ("AccessionNumber", lambda path: add(path, "<a href='acc-2020%2F77'>")),
    "own_data.html": ("path of this machine", lambda path: add(path, f"<p>{DATA_ROOT}/a</p>")),
    "hospital_c/05_nomogram_dca.html": ("patient_id", lambda path: array(path, NUMBER)),
    "development/01_cohort.html": (
        "column patient_id",
        lambda path: add(path, "<table><th class='head'>patient_id</th></table>"),
    ),
    "_static/one.js": ("patient_id", lambda path: add(path, f"x='{ID.lower()}'")),
    "_static/figure.svg": ("patient_id", lambda path: add(path, f"<metadata>{ID}</metadata>")),
    "_static/plain.png": ("patient_id", lambda path: picture(path, ID)),
    "_static/packed.png": ("patient_id", lambda path: picture(path, ID, packed=True)),
    "page.html": (
        "patient_id",
        lambda path: add(path, base64.b64encode(f"the scan of {ID} was late".encode()).decode()),
    ),
    "picture.ipynb": ("patient_id", picture_in_base64),
    "table.ipynb": ("PatientName", table_of_names),
    "machine.ipynb": (
        "path of this machine",
        lambda path: add(path, json.dumps({"cells": [{"source": [f"x\n{HOME}/results"]}]})),
    ),
    "export.json": ("patient_id", lambda path: add(path, json.dumps({"figures": {ID: 1}}))),
    "umlaut.json": ("PatientName", lambda path: add(path, json.dumps({"who": "Änne Müller-Ost"}))),
    "number.json": ("patient_id", lambda path: add(path, json.dumps({"x": [1, int(NUMBER)]}))),
    "rows.csv": ("column patient_id", lambda path: add(path, "patient_id,risk\n1,0.5\n")),
    "run.log": ("PatientBirthDate", lambda path: add(path, f"read 12\nread {BORN}")),
    "run.log.gz": ("patient_id", packed),
    "tables.zip": ("patient_id", archive),
    "network.safetensors": ("patient_id", weights),
    ".hidden": ("patient_id", lambda path: add(path, ID)),
    "1-01.dcm": ("DICOM file", dicom),
    "slices.npy": ("file of a kind that cannot be searched", arrays),
}


@pytest.fixture(scope="module")
def clean():
    return sample_study.with_book() / "book"


@pytest.fixture(scope="module")
def spoilt(clean, tmp_path_factory):
    """The sample's book with a leak in each of many files, and two files named like a patient."""
    folder = tmp_path_factory.mktemp("leaving") / "book"
    shutil.copytree(clean, folder)
    for name, (_, plant) in PLANTED.items():
        plant(folder / name)
    (folder / f"thumbnail_{ID}.txt").write_text("-")
    (folder / "Änne_Müller-Ost").mkdir()
    (folder / "Änne_Müller-Ost" / "notes.txt").write_text("-")
    return folder


@pytest.fixture(scope="module")
def found(spoilt):
    return leaks.leaks(spoilt, known())


def test_a_clean_book_may_leave(clean):
    assert leaks.refuse_leaks(clean, known()).empty


@pytest.mark.parametrize("file", PLANTED)
def test_each_planted_leak_is_found_where_it_is(found, file):
    kind, _ = PLANTED[file]
    assert (kind, "refuse") in set(
        found.loc[found["file"] == file, ["kind", "status"]].itertuples(index=False, name=None)
    )


def test_nothing_but_the_planted_is_found(found):
    assert set(found["file"]) - set(PLANTED) == {
        "[named like a patient]",
        "[named like a patient]/notes.txt",
    }


def test_names_of_files_and_folders_are_looked_at(found):
    rows = found[found["file"].str.startswith("[named")]
    assert set(rows["place"]) == {"file name"}
    assert set(rows["kind"]) == {"patient_id", "PatientName"}


def test_all_leaks_are_refused_together_and_none_is_quoted(spoilt):
    with pytest.raises(checks.Problems) as refused:
        leaks.refuse_leaks(spoilt, known())
    said = str(refused.value)
    assert len(refused.value.problems) >= len(PLANTED)
    assert not [value for value in (ID, NUMBER, UID, BORN, "nne") if value in said]
    assert "run.log: line 2: PatientBirthDate must not leave" in said


def test_a_place_is_the_way_through_json(found):
    place = found.loc[found["file"] == "table.ipynb", "place"].item()
    assert place == "cells[0].outputs[0].data.text/html"


def test_a_place_is_not_told_by_a_key_that_names_a_patient(tmp_path):
    add(tmp_path / "export.json", json.dumps({ID: {"note": [ID]}}))
    found = leaks.leaks(tmp_path, known())
    assert set(found["place"]) == {"keys", "[named like a patient]"}


def test_one_file_can_be_looked_at(tmp_path):
    add(tmp_path / "export.json", json.dumps({"note": ID}))
    row = leaks.leaks(tmp_path / "export.json", known()).iloc[0]
    assert row.tolist() == ["export.json", "patient_id", "note", "refuse"]


def test_a_kind_may_be_allowed_and_stays_on_record(tmp_path):
    add(tmp_path / "run.log", "epoch 1950-03-02")
    kept = leaks.refuse_leaks(tmp_path, known(), allow=["PatientBirthDate"])
    assert kept["status"].tolist() == ["allowed"]


def test_what_came_with_a_package_knows_nobody(clean, tmp_path):
    """The icons' code points look like short ids, e005 among them."""
    short = identities.of({"patient_id": ["E005"]})
    icons = clean / "_static" / "scripts" / "fontawesome.js"
    assert "e005" in icons.read_text("utf-8").lower()
    assert leaks.leaks(clean, short).empty
    add(tmp_path / "fontawesome.js", icons.read_text("utf-8") + "\n// E005")
    assert not leaks.leaks(tmp_path, short).empty


class TestIdentities:
    """What is looked for, and what cannot be."""

    @pytest.mark.parametrize(
        "text",
        ["HCC4711", "hcc4711", "x_HCC4711.dcm", "a/HCC4711/b", "HCC&#52;711", "'\\u0048CC4711'"],
    )
    def test_an_id_is_found_between_any_signs(self, text):
        assert [kind for kind, _ in known().in_text(text)] == ["patient_id"]

    @pytest.mark.parametrize("text", ["HCC47110", "AHCC4711", "HCC 4", "4711"])
    def test_a_longer_or_another_word_is_not_the_id(self, text):
        assert not list(known().in_text(text))

    @pytest.mark.parametrize(
        "text",
        ["Müller-Ost^Änne", "Änne Müller Ost", "MULLER OST, ANNE"],
    )
    def test_a_name_is_found_in_any_order_and_spelling(self, text):
        assert [kind for kind, _ in known().in_text(text)] == ["PatientName"]

    @pytest.mark.parametrize("text", ["Änne", "Müller-Ost", "Ost, Änne", "Müller Änne Ost"])
    def test_a_part_of_a_name_is_not_the_name(self, text):
        assert not list(known().in_text(text))

    @pytest.mark.parametrize("text", ["19500302", "1950-03-02", "02.03.1950", "3/2/1950"])
    def test_a_birth_date_is_found_in_its_usual_forms(self, text):
        assert [kind for kind, _ in known().in_text(text)] == ["PatientBirthDate"]

    def test_the_line_is_told(self):
        assert list(known().in_text(f"a\nb\n{ID}")) == [("patient_id", 3)]

    @pytest.mark.parametrize("value", ["7", "007", "123456", "Doe", "P1", "anonymous"])
    def test_what_is_too_short_or_plain_is_counted_as_not_looked_for(self, value, tmp_path):
        add(tmp_path / "page.html", f"<p>{value}</p>")
        row = leaks.refuse_leaks(tmp_path, identities.of({"patient_id": [value]})).iloc[0]
        assert (row["kind"], row["status"]) == ("patient_id", "warn")
        assert row["place"].startswith("1 too short or too plain")

    def test_no_value_can_be_read_from_them(self):
        said = repr(known()) + repr(vars(known()))
        assert not [value for value in (ID, NUMBER, UID, BORN, "Müller") if value in said]

    def test_a_studys_tables_folders_and_headers_are_all_looked_for(self, tmp_path):
        def named(number, image):
            image.PatientName, image.AccessionNumber = NAME, ACCESSION

        write_series(tmp_path / "ct" / "Folder77", z_mm=[0.0], patient_id="Header78", change=named)
        study = with_images(small_study.read(tmp_path))
        of_study = identities.of_study(study, workers=1)
        for text in ("Folder77", "Header78", "Änne Müller-Ost", ACCESSION):
            assert list(of_study.in_text(text)), text
        assert Path(of_study.places[0]) == Path.home()
        assert str(tmp_path) in of_study.places

    def test_a_table_that_cannot_be_read_is_said(self, tmp_path):
        study = small_study.read(tmp_path)
        name = next(iter(study.centres))
        study.path(name, "table").write_text("nothing\n", "utf-8")
        of_study = identities.of_study(study, workers=1)
        (tmp_path / "leaving").mkdir()
        rows = leaks.leaks(tmp_path / "leaving", of_study)
        assert f"the table of {name} cannot be read" in rows["place"].str.cat(sep="; ")

    def test_the_patients_of_some_centres_alone_can_be_looked_for(self, tmp_path):
        """The small study's ids are the centre's letter and a digit: made longer here."""
        study = small_study.read(tmp_path)
        for name in ("a", "b"):
            table = study.path(name, "table")
            table.write_text(small_study.table(f"{name}{name}123"), "utf-8")
        of_b = identities.of_study(study, ["b"], places=["/srv/results"], workers=1)
        assert [kind for kind, _ in of_b.in_text("aa1231 bb1231")] == ["patient_id"]
        assert "/srv/results" in of_b.places

    def test_a_dicom_root_that_is_not_there_is_said(self, tmp_path):
        study = with_images(small_study.read(tmp_path))
        assert identities.of_study(study, workers=1).unread == ("a",)


def with_images(study):
    """The study with its first hospital's DICOM folder."""
    name, *_ = study.centres
    centre = study.centres[name].model_copy(update={"dicom": "ct"})
    return study.model_copy(update={"centres": {**study.centres, name: centre}})


class TestLettingOut:
    """What leaves is made beside its place, and comes there when nothing in it leaks."""

    @pytest.fixture
    def made(self, tmp_path):
        (tmp_path / "beside").mkdir()
        return tmp_path / "beside" / "export.json"

    def test_what_is_clean_comes_into_its_place(self, made, tmp_path):
        made.write_text("{}")
        leaks.let_out(made, tmp_path / "export.json", known())
        assert (tmp_path / "export.json").read_text() == "{}"

    def test_what_leaks_does_not_and_an_earlier_one_stays(self, made, tmp_path):
        made.write_text(json.dumps({"note": ID}))
        (tmp_path / "export.json").write_text("{}")
        with pytest.raises(checks.Problems, match=r"  export\.json: note: patient_id must not"):
            leaks.let_out(made, tmp_path / "export.json", known())
        assert (tmp_path / "export.json").read_text() == "{}"

    def test_a_folder_takes_the_earlier_one_s_place(self, tmp_path):
        for folder, name in (("beside/book", "new.html"), ("book", "old.html")):
            (tmp_path / folder).mkdir(parents=True)
            (tmp_path / folder / name).write_text("-")
        leaks.let_out(tmp_path / "beside" / "book", tmp_path / "book", known())
        assert [path.name for path in (tmp_path / "book").iterdir()] == ["new.html"]

    def test_what_cannot_be_looked_for_is_said(self, made, tmp_path, capsys):
        made.write_text("{}")
        plain = identities.of({"patient_id": ["7", "8"]})
        leaks.let_out(made, tmp_path / "export.json", plain)
        assert "export.json: patient_id: 2 too short" in capsys.readouterr().err

    @pytest.mark.parametrize("text", [ID, UID])
    def test_a_book_that_stays_inside_may_tell_which_patient_and_image(self, text, made, tmp_path):
        made.write_text(json.dumps({"note": text}))
        leaks.let_out(made, tmp_path / "export.json", known(), allow=leaks.INTERNAL)

    @pytest.mark.parametrize("text", ["Müller-Ost, Änne", BORN, ACCESSION, f"{DATA_ROOT}/a"])
    def test_it_may_tell_nothing_more(self, text, made, tmp_path):
        made.write_text(json.dumps({"note": text}))
        with pytest.raises(checks.Problems):
            leaks.let_out(made, tmp_path / "export.json", known(), allow=leaks.INTERNAL)


PLANTED_IN_ALL = {
    "name": "the scan of Änne Müller-Ost",
    "UID": "1.2.826.0.1.3680043.8.498.1.1",  # that of write_series' first slice
    "results folder": "read from @results@/other/bundle",
}


@pytest.fixture
def of_anne(tmp_path):
    """The small study, where hospital a (development) and b have images of one patient."""
    folder = tmp_path / "study"
    folder.mkdir()
    study = small_study.read(folder)
    for name in ("a", "b"):
        write_series(folder / name / "ct" / f"{name}1", z_mm=[0.0], change=named_anne)
    text = yaml.safe_load(study.source.read_text("utf-8"))
    for name in ("a", "b"):
        text["centres"][name]["dicom"] = f"{name}/ct"
    study.source.write_text(yaml.safe_dump(text), "utf-8")
    return Manifest.read(study.source)


def named_anne(number, image):
    image.PatientName = NAME


def metrics(note: str) -> pd.DataFrame:
    """One external AUC of 96 invented patients, with a note."""
    row = {"model": "cs", "comparator": "", "protocol": "leak_free", "origin": "external"}
    row |= {"subgroup": "all", "metric": "auc", "estimate": 0.7, "low": 0.6, "high": 0.8}
    row |= {"p_value": np.nan, "n": 96, "events": 22, "note": note}
    return pd.DataFrame([row])[list(comparison.COLUMNS)]


class TestTheExport:
    """What notebook 06 hands on at a validation centre."""

    def hand_on(self, study, root, note):
        here = results.Folder(root=root, study="small", centre="b", stage="06_survival")
        table = metrics(note.replace("@results@", str(root)))
        results.write_table(table, here.path / "metrics.csv")
        export.hand_on(here, study)

    def test_a_clean_one_stands_in_the_centre_s_folder(self, of_anne, tmp_path):
        self.hand_on(of_anne, tmp_path / "results", "too_few_events")
        made = json.loads((tmp_path / "results" / "small" / "b" / "export.json").read_text())
        assert made["figures"][0]["note"] == "too_few_events"

    @pytest.mark.parametrize("what", PLANTED_IN_ALL)
    def test_one_that_leaks_is_refused_and_not_left_behind(self, of_anne, tmp_path, what):
        with pytest.raises(checks.Problems, match=r"export\.json: figures\[0\].note: ") as refused:
            self.hand_on(of_anne, tmp_path / "results", PLANTED_IN_ALL[what])
        assert "nne" not in str(refused.value)
        left = tmp_path / "results" / "small" / "b"
        assert [path.name for path in left.iterdir()] == ["metrics.csv"]


@pytest.mark.parametrize("what", PLANTED_IN_ALL)
def test_a_bundle_that_leaks_is_refused_and_an_earlier_one_stays(
    of_anne, tmp_path, monkeypatch, capsys, what
):
    place = tmp_path / "results" / "small"
    said = PLANTED_IN_ALL[what].replace("@results@", str(place.parent))

    def freeze(development, folder):
        results.write_json({"notes": said}, folder / "bundle.json")

    monkeypatch.setattr(protocol, "freeze", freeze)
    results.write_json({}, place / "bundle" / "bundle.json")
    run = Plan(
        manifest=str(of_anne.source), results_root=str(place.parent), study="small", profile="tiny"
    )
    monkeypatch.setattr("sys.argv", ["steps", "freeze", str(run.write())])
    assert steps.main() == 1
    failed, problem = capsys.readouterr().out.splitlines()
    assert failed == "hcc: FAILED freeze: 1 problem:"
    assert problem.startswith("hcc:   bundle/bundle.json: notes: ")
    assert sorted(path.name for path in place.iterdir()) == ["bundle", "plan.json"]
    assert json.loads((place / "bundle" / "bundle.json").read_text()) == {}


@pytest.mark.parametrize(
    ("text", "is_kept"), [("<p>a1234</p>", True), ("<p>Müller-Ost, Änne</p>", False)]
)
def test_a_rendered_book_is_looked_at_before_it_takes_its_place(
    of_anne, tmp_path, monkeypatch, text, is_kept
):
    """Rendering is played by a stand-in that writes one page."""

    def render(command, **options):
        html = Path(command[command.index("--path-output") + 1]) / "_build" / "html"
        html.mkdir(parents=True)
        (html / "index.html").write_text(text, "utf-8")
        return subprocess.CompletedProcess(command, 0, "", "")

    of_anne.path("a", "table").write_text(small_study.table("a123"), "utf-8")
    monkeypatch.setattr(book.subprocess, "run", render)
    place = tmp_path / "results" / "book"
    place.parent.mkdir()
    with nullcontext() if is_kept else pytest.raises(checks.Problems, match="PatientName"):
        book._render(tmp_path / "pages", place, of_anne)
    assert place.exists() == is_kept


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("/home/anybody/x", [1]),
        ('"a\\n/home/anybody"', [1]),
        ("file:///home/anybody", [1]),
        ("\n(/home/anybody)", [2]),
        ("https://site.org/home/anybody", []),
        ("/home/anybody2", []),
        ("C:\\\\Users\\\\me\\\\ct", [1]),
    ],
)
def test_a_folder_of_this_machine_is_told_from_other_paths(text, lines):
    assert list(leaks._machine(text, [HOME, "C:/Users/me"])) == lines
