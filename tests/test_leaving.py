"""The leaving gate: a planted identity in whatever leaves is refused, and nothing is quoted."""

from __future__ import annotations

import base64
import gzip
import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
import sample_study
import small_study
from dicom_files import write_series
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from safetensors.numpy import save_file

from hcc_utils import checks
from hcc_utils.centres import identities, leaks

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


def with_images(study):
    """The study with its first hospital's DICOM folder."""
    name, *_ = study.centres
    centre = study.centres[name].model_copy(update={"dicom": "ct"})
    return study.model_copy(update={"centres": {**study.centres, name: centre}})


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
