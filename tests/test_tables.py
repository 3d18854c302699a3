"""A hospital's table: what passes, and what each bad table is told."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import pytest
import small_study

from hcc_utils.checks import Problems
from hcc_utils.demo import hospitals, patients, study
from hcc_utils.study import manifest, tables, vocabulary
from hcc_utils.study.codebook import Codebook

REAL = Path(__file__).parents[1] / "studies" / "hcc_tace_seg" / "manifest.yaml"


def _problems(folder: Path, content: str | bytes, **columns: object) -> list[str]:
    """What is said of hospital a with this table."""
    study = small_study.read(folder)
    small_study.codebook(folder, "a", **columns)
    raw = content.encode() if isinstance(content, str) else content
    (folder / "a" / "patients.csv").write_bytes(raw)
    with pytest.raises(Problems) as caught:
        tables.read(study, "a")
    return caught.value.lines


class TestGood:
    def test_values_are_in_the_vocabulary(self, tmp_path: Path) -> None:
        """Row 2: 48 years, code 2 = female, 5.5 cm = 55 mm, PD at 7.5 months."""
        patients = tables.read(small_study.read(tmp_path), "a")
        row = patients.iloc[1]
        assert list(row[["patient_id", "centre", "sex", "capsule"]]) == [
            "a2",
            "a",
            "female",
            "intact",
        ]
        assert row["age_years"] == 48
        assert row["diameter_mm"] == pytest.approx(55)
        assert row["aggressive_pd"] is np.True_
        assert row["months_to_aggressive_pd"] == 7.5

    def test_kinds_decide_the_types(self, tmp_path: Path) -> None:
        types = tables.read(small_study.read(tmp_path), "a").dtypes
        assert types["cirrhosis"] == "boolean"
        assert types["diameter_mm"] == "float64"
        assert types["capsule"] == "object"

    def test_missing_cells_are_missing(self, tmp_path: Path) -> None:
        """Row 3 has an empty size and n/a for AFP."""
        row = tables.read(small_study.read(tmp_path), "a").iloc[2]
        assert pd.isna(row["diameter_mm"])
        assert pd.isna(row["afp_ng_ml"])

    @pytest.mark.parametrize(
        "change",
        [
            pytest.param(lambda t: b"\xef\xbb\xbf" + t.encode(), id="byte order mark"),
            pytest.param(lambda t: t.replace("\n", "\r\n").encode(), id="CRLF"),
            pytest.param(lambda t: t.replace(",", " , ").encode(), id="stray spaces"),
            pytest.param(lambda t: (t + "\n,,,,,,,,,,,,,,,\n").encode(), id="blank lines"),
            pytest.param(lambda t: t.replace("61", '"61"').encode(), id="quotes"),
        ],
    )
    def test_harmless_forms_pass(self, tmp_path: Path, change: object) -> None:
        study = small_study.read(tmp_path)
        expected = tables.read(study, "a")
        (tmp_path / "a" / "patients.csv").write_bytes(change(small_study.table("a")))  # type: ignore[operator]
        pd.testing.assert_frame_equal(tables.read(study, "a"), expected)

    def test_workbook_reads_as_csv_does(self, tmp_path: Path) -> None:
        expected = tables.read(small_study.read(tmp_path), "a")
        entry = small_study.centre("a", "development", sheet="data")
        study = small_study.read(tmp_path, centres={"a": {**entry, "table": "a/patients.xlsx"}})
        _workbook(tmp_path / "a" / "patients.xlsx", small_study.table("a"))
        pd.testing.assert_frame_equal(tables.read(study, "a"), expected)

    def test_null_code_means_not_known(self, tmp_path: Path) -> None:
        """A treatment outside the study's two stays unknown, so that the cohort can exclude it."""
        study = small_study.read(tmp_path)
        codes = {"R": "resection", "T": None}
        small_study.codebook(tmp_path, "a", treatment={"column": "Treatment", "codes": codes})
        found = tables.read(study, "a")["treatment"]
        assert list(found.isna()) == [False, True, True, False]

    def test_number_codes_are_in_the_hospitals_unit(self, tmp_path: Path) -> None:
        """ "<0.5" is said to be 0.25 cm: 2.5 mm."""
        study = small_study.read(tmp_path)
        (tmp_path / "a" / "patients.csv").write_text(
            small_study.table("a").replace("3.2,yes", "<0.5,yes"), "utf-8"
        )
        size = {"column": "Size_cm", "multiply_by": 10, "codes": {"<0.5": 0.25}}
        small_study.codebook(tmp_path, "a", diameter_mm=size)
        assert tables.read(study, "a")["diameter_mm"].iloc[0] == pytest.approx(2.5)

    def test_any_of_is_true_where_any_is(self, tmp_path: Path) -> None:
        """EHM or MVI in rows 2 and 3, neither in 1 and 4."""
        study = small_study.read(tmp_path)
        small_study.codebook(tmp_path, "a", baseline_spread={"any_of": ["EHM", "MVI"]})
        found = tables.read(study, "a")["baseline_spread"]
        assert list(found) == [False, True, True, False]

    def test_any_of_one_unknown_and_one_false_is_unknown(self, tmp_path: Path) -> None:
        study = small_study.read(tmp_path)
        small_study.codebook(
            tmp_path,
            "a",
            extrahepatic_metastasis=None,
            macrovascular_invasion=None,
            baseline_spread={"any_of": ["EHM", "MVI"]},
        )
        text = small_study.table("a").replace("12.5,0,0,0", "12.5,,0,0")
        (tmp_path / "a" / "patients.csv").write_text(text, "utf-8")
        assert tables.read(study, "a")["baseline_spread"].isna().tolist() == [True] + [False] * 3

    def test_has_ct_follows_the_folders_where_no_column_says(self, tmp_path: Path) -> None:
        """a1 has a folder with a file, a2 an empty one, a3 and a4 none."""
        entry = small_study.centre("a", "development", dicom="a/dicom")
        study = small_study.read(tmp_path, centres={"a": entry})
        for name in ("a1", "a2"):
            (tmp_path / "a" / "dicom" / name).mkdir(parents=True)
        (tmp_path / "a" / "dicom" / "a1" / "1.dcm").touch()
        assert list(tables.read(study, "a")["has_ct"]) == [True, False, False, False]

    def test_ids_keep_their_zeros(self, tmp_path: Path) -> None:
        study = small_study.read(tmp_path)
        text = small_study.table("a").replace("\na1,", "\n007,")
        (tmp_path / "a" / "patients.csv").write_text(text, "utf-8")
        assert tables.read(study, "a")["patient_id"].iloc[0] == "007"


_SOUND = small_study.table("a")
_ROW_1 = "a1,61,1,R,3.2,yes,none,0,1,12.5,0,0,0,30,0,30"


def _first(old: str, new: str) -> str:
    """The sound table with a cell of its first patient (line 2) changed."""
    assert old in _ROW_1
    return _SOUND.replace(_ROW_1, _ROW_1.replace(old, new, 1))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param("", "a/patients.csv: the file is empty.", id="empty"),
        pytest.param("\n\n", "a/patients.csv: the file is empty.", id="only newlines"),
        pytest.param(",,\n", "a/patients.csv: the table is empty.", id="only commas"),
        pytest.param(b"PK\x03\x04rest", "is an Excel workbook named .csv", id="xlsx named csv"),
        pytest.param(b"\xd0\xcf\x11\xe0x", "is an old Excel workbook", id="xls named csv"),
        pytest.param(
            _first("none", "käse").encode("latin-1"), "a/patients.csv:2: must be CSV", id="latin-1"
        ),
        pytest.param(_SOUND.encode("utf-16"), "is UTF-16 text", id="UTF-16"),
        pytest.param(_SOUND.encode("utf-16-le"), "holds zero bytes", id="UTF-16 without mark"),
        pytest.param(_SOUND.replace(",", ";"), "separated by semicolons", id="semicolons"),
        pytest.param(_SOUND.replace(",", "\t"), "separated by tabs", id="tabs"),
        pytest.param(
            small_study.HEADER, "a/patients.csv: holds a header and no patient", id="head"
        ),
        pytest.param(
            _SOUND.replace("Inner", "Age"), "column 'Age': stands 2 times", id="a column twice"
        ),
        pytest.param(
            _SOUND.replace("Cirrhosis", "Cirhosis"),
            "csv:1: column 'Cirrhosis' (cirrhosis): is not in the header (nearest: 'Cirhosis')",
            id="renamed column",
        ),
        pytest.param(
            _first("12.5", "12.5,9"), "csv:2: must have 16 cells, as the header; it has 17", id="17"
        ),
        pytest.param(
            _first(",30,0,30", ",30,0"),
            "csv:2: must have 16 cells, as the header; it has 15",
            id="15",
        ),
        pytest.param(_first("none", 'no"ne'), None, id="quote inside a cell passes csv, not codes"),
        pytest.param(_first("none", '"none"x'), "csv:2: cannot be read as CSV", id="broken quote"),
        pytest.param(
            _SOUND.replace("a4,", "a1,"),
            "csv:5: column 'PatNo' (patient_id): stands twice; one row a patient; got 'a1'",
            id="duplicate id",
        ),
        pytest.param(
            _first("a1", ""), "csv:2: column 'PatNo' (patient_id): must not be empty", id="no id"
        ),
        pytest.param(
            _first("a1", "../a1"), "csv:2: column 'PatNo' (patient_id): must be", id="path"
        ),
        pytest.param(
            _first("a1", "a..1"), "csv:2: column 'PatNo' (patient_id): must be", id="dots"
        ),
        pytest.param(
            _first("a1", "a/1"), "csv:2: column 'PatNo' (patient_id): must be", id="slash"
        ),
        pytest.param(
            _first("3.2", '"3,2"'),
            "csv:2: column 'Size_cm' (diameter_mm): must be a number with a decimal point; "
            "this has a comma; got '3,2'",
            id="decimal comma",
        ),
        pytest.param(
            _first("3.2", "large"),
            "csv:2: column 'Size_cm' (diameter_mm): must be a number; got 'large'",
            id="text in a number",
        ),
        pytest.param(
            _first("12.5", "<0.5"), "must be a number; say what a bound means", id="below a bound"
        ),
        pytest.param(
            _first("61", "999"),
            "must lie from 18 to 110 (if it means 'not known', add it to missing); got '999'",
            id="999",
        ),
        pytest.param(
            _first(",30,0,30", ",30,0,-1"),
            "csv:2: column 'OS' (months_to_death): must lie from 0 to 600",
            id="negative survival",
        ),
        pytest.param(
            _first(",30,0,30", ",30,0,900"), "(were days given? if it means", id="days, one patient"
        ),
        pytest.param(
            _SOUND.replace(",0,30\n", ",0,930\n")
            .replace(",1,19\n", ",1,580\n")
            .replace(",0,40\n", ",0,500\n")
            .replace(",1,18\n", ",1,550\n"),
            "half lie beyond 240 months; were days given?",
            id="days, all patients",
        ),
        pytest.param(_first("12.5", "inf"), "must be a finite number; got 'inf'", id="infinity"),
        pytest.param(_first("12.5", "1e999"), "must lie from 0 to 1e+08", id="overflow"),
        pytest.param(
            _first("12.5", "NaN"), "if it means 'not known', add it to missing; got 'NaN'", id="NaN"
        ),
        pytest.param(
            _first("12.5", "NULL"),
            "csv:2: column 'AFP' (afp_ng_ml): must be a number; if it means 'not known', add it "
            "to missing; got 'NULL'",
            id="NULL",
        ),
        pytest.param(
            _first("61,1,", "61,3,"),
            "csv:2: column 'Sex' (sex): the codes lack this cell (they have 1, 2); got '3'",
            id="unknown sex code",
        ),
        pytest.param(
            _SOUND.replace(",1,0,1,7.5", ",1,0,2,7.5"),
            "csv:3: column 'PD' (aggressive_pd): must be 1, 0, true or false, or have a code",
            id="outcome coded 1 and 2",
        ),
        pytest.param(
            re.sub(r"\n(a\d),\d\d,", r"\n\1,,", _SOUND),
            "a/patients.csv: age_years: the study needs it and no patient has it",
            id="all missing",
        ),
        pytest.param(_first("61", "17"), "must lie from 18 to 110", id="age 17"),
        pytest.param(
            _SOUND.replace(",1,0,1,7.5", ",1,0,0,7.5"),
            "csv:3: column 'PD' (aggressive_pd): must be true where extrahepatic_metastasis or "
            "macrovascular_invasion is",
            id="metastasis without aggressive PD",
        ),
        pytest.param(
            _first(",0,0,0,30", ",0,0,1,30"),
            "csv:2: column 'PD' (aggressive_pd)",
            id="aggressive PD of no kind",
        ),
        pytest.param(
            _first(",30,0,30", ",31,0,30"),
            "csv:2: column 'PD_months' (months_to_aggressive_pd): must not lie beyond",
            id="event after death",
        ),
        pytest.param(
            _first(",30,0,30", ",,0,30"),
            "csv:2: column 'PD_months' (months_to_aggressive_pd): must be given where",
            id="outcome without a time",
        ),
    ],
)
def test_bad_table_is_told_why(tmp_path: Path, content: str | bytes, expected: str | None) -> None:
    expected = expected or "the codes lack this cell"
    lines = _problems(tmp_path, content)
    assert any(expected in line for line in lines), lines


def _workbook(path: Path, text: str) -> None:
    """The table as a workbook whose sheet "data" has numbers as numbers."""
    book = openpyxl.Workbook()
    sheet = book.create_sheet("data")
    for row in text.splitlines():
        sheet.append([float(cell) if _is_number(cell) else cell or None for cell in row.split(",")])
    book.save(path)


def _is_number(cell: str) -> bool:
    return re.fullmatch(r"[0-9.]+", cell) is not None


class TestWorkbook:
    def _lines(self, folder: Path, **entry: object) -> list[str]:
        file = {"table": "a/patients.xlsx", **entry}
        study = small_study.read(
            folder, centres={"a": small_study.centre("a", "development") | file}
        )
        with pytest.raises(Problems) as caught:
            tables.read(study, "a")
        return caught.value.lines

    def test_csv_named_xlsx(self, tmp_path: Path) -> None:
        small_study.write(tmp_path)
        (tmp_path / "a" / "patients.xlsx").write_text(small_study.table("a"))
        assert "is no Excel workbook" in self._lines(tmp_path)[0]

    def test_several_sheets_and_none_named(self, tmp_path: Path) -> None:
        small_study.write(tmp_path)
        _workbook(tmp_path / "a" / "patients.xlsx", small_study.table("a"))
        assert "holds 2 sheets: Sheet, data" in self._lines(tmp_path)[0]

    def test_a_sheet_that_is_not_there(self, tmp_path: Path) -> None:
        small_study.write(tmp_path)
        _workbook(tmp_path / "a" / "patients.xlsx", small_study.table("a"))
        line = self._lines(tmp_path, sheet="dat")[0]
        assert "has no sheet 'dat' (nearest: 'data')" in line

    def test_a_bad_cell_is_named_by_its_row(self, tmp_path: Path) -> None:
        small_study.write(tmp_path)
        _workbook(tmp_path / "a" / "patients.xlsx", small_study.table("a").replace("48,2", "48,9"))
        expected = "a/patients.xlsx:3: column 'Sex' (sex): the codes lack this cell"
        assert self._lines(tmp_path, sheet="data")[0].startswith(expected)


def test_missing_file_is_named(tmp_path: Path) -> None:
    study = small_study.read(tmp_path)
    (tmp_path / "a" / "patients.csv").unlink()
    with pytest.raises(Problems, match=r"a/patients\.csv: there is no such file"):
        tables.read(study, "a")


def test_missing_file_is_named_with_what_to_do(tmp_path: Path) -> None:
    entry = small_study.centre(
        "a", "development", source="Ask the registry for last year's export."
    )
    study = small_study.read(tmp_path, centres={"a": entry})
    (tmp_path / "a" / "patients.csv").unlink()
    with pytest.raises(Problems) as caught:
        tables.read(study, "a")
    assert caught.value.lines == [
        "a/patients.csv: there is no such file. Ask the registry for last year's export."
    ]


def test_all_problems_are_listed(tmp_path: Path) -> None:
    """One bad cell in each of three rows and columns: three lines, in the table's order."""
    text = small_study.table("a").replace("61,1", "17,1").replace("48,2", "48,9")
    lines = _problems(tmp_path, text.replace("a4,", "a/4,"))
    assert [line.split(" (")[0] for line in lines] == [
        "a/patients.csv:2: column 'Age'",
        "a/patients.csv:3: column 'Sex'",
        "a/patients.csv:5: column 'PatNo'",
    ]


def test_many_bad_cells_are_counted(tmp_path: Path) -> None:
    """Of 40 patients of 17 years ten are named, and 30 more are counted."""
    rows = [_ROW_1.replace("a1,61", f"a{i},17") for i in range(40)]
    lines = _problems(tmp_path, "\n".join([small_study.HEADER, *rows]))
    assert len(lines) == 11
    assert "so in 30 more rows" in lines[0]


def test_redacted_lines_quote_no_value(tmp_path: Path) -> None:
    study = small_study.read(tmp_path)
    (tmp_path / "a" / "patients.csv").write_text(_first("a1,61", "secret/1,17"), "utf-8")
    with pytest.raises(Problems) as caught:
        tables.read(study, "a")
    said = " ".join(problem.redacted for problem in caught.value.problems)
    assert "secret" in str(caught.value)
    assert "secret" not in said
    assert "csv:2: column 'PatNo'" in said


def test_unmapped_needed_column_is_named(tmp_path: Path) -> None:
    lines = _problems(tmp_path, _SOUND, capsule=None)
    assert len(lines) == 1
    assert "capsule: the study needs it and the codebook does not say which column" in lines[0]


def test_left_out_chapters_need_no_columns(tmp_path: Path) -> None:
    left_out = {"04_comparison": "no readers", "05_nomogram_dca": "no readers"}
    study = small_study.read(tmp_path, chapters_left_out=left_out)
    assert "capsule" not in tables.required(study)


def test_endpoint_and_its_time_are_needed(tmp_path: Path) -> None:
    study = small_study.read(tmp_path, endpoint="progression")
    assert {"progression", "months_to_progression"} <= set(tables.required(study))


@pytest.mark.parametrize("name", sorted({n for names in tables.REQUIRED.values() for n in names}))
def test_required_columns_are_words_of_the_vocabulary(name: str) -> None:
    assert name in vocabulary.VARIABLES


@pytest.fixture(scope="module")
def demo() -> tuple[pd.DataFrame, pd.DataFrame]:
    """The tiny demo's patients and their truth."""
    return patients.make(60)


@pytest.mark.parametrize("name", list(hospitals.HOSPITALS))
def test_each_demo_hospital_is_read_back(
    tmp_path: Path, demo: tuple[pd.DataFrame, pd.DataFrame], name: str
) -> None:
    """Each writes its table in words and units of its own; what is read is what was drawn."""
    hospitals.write(tmp_path, *demo)
    (tmp_path / "m.yaml").write_text(study.manifest_text("."), "utf-8")
    found = tables.read(manifest.Manifest.read(tmp_path / "m.yaml"), name)
    expected = demo[0][demo[0]["centre"] == name].reset_index(drop=True)
    assert set(found) == set(expected)
    pd.testing.assert_frame_equal(
        found, expected[found.columns], check_dtype=False, rtol=1e-12, atol=0
    )


@pytest.mark.real_data
class TestRealSpreadsheet:
    """Counts from the sample's own README; the rest read off the spreadsheet itself."""

    @pytest.fixture
    def patients(self, hcc_tace_seg_root: Path) -> pd.DataFrame:
        return tables.read(manifest.Manifest.read(REAL), "hcc_tace_seg")

    def test_counts(self, patients: pd.DataFrame) -> None:
        """105 patients, 93 deaths, 45 progressions; 23 with vascular invasion, 7 metastasis."""
        assert len(patients) == 105
        assert patients["death"].sum() == 93
        assert patients["progression"].sum() == 45
        assert patients["baseline_macrovascular_invasion"].sum() == 23
        assert patients["baseline_extrahepatic_metastasis"].sum() == 7
        assert patients["diameter_mm"].isna().sum() == 52

    def test_four_patients_have_images(self, patients: pd.DataFrame) -> None:
        with_ct = patients.loc[patients["has_ct"], "patient_id"]
        assert list(with_ct) == ["HCC_007", "HCC_009", "HCC_015", "HCC_048"]

    def test_weeks_become_months_and_centimetres_millimetres(
        self, patients: pd.DataFrame, hcc_tace_seg_root: Path
    ) -> None:
        """A week is 7 days and a month 365.25 / 12 days."""
        path = hcc_tace_seg_root / "HCC-TACE-Seg_clinical_data-V2.xlsx"
        given = pd.read_excel(path, sheet_name="data table")
        months = given["OS"] * 7 / (365.25 / 12)
        np.testing.assert_allclose(patients["months_to_death"], months, rtol=1e-6)
        np.testing.assert_allclose(patients["diameter_mm"], given["Tr_Size"] * 10)

    @pytest.mark.parametrize("column", ["Tr_Size", "3_RECIST_BL"])
    def test_a_version_without_an_optional_column_is_read_without_it(
        self, another_version: Callable[..., manifest.Manifest], column: str
    ) -> None:
        patients = tables.read(another_version({column: "renamed"}), "hcc_tace_seg")
        assert len(patients) == 105
        name = {"Tr_Size": "diameter_mm", "3_RECIST_BL": "recist_mm_r3"}[column]
        assert name not in patients

    def test_a_renamed_column_that_is_needed_is_named_with_the_nearest(
        self, another_version: Callable[..., manifest.Manifest]
    ) -> None:
        study = another_version({"Censored_0_progressed_1": "Censored_0_Progressed_1", "OS": "x"})
        with pytest.raises(Problems) as caught:
            tables.read(study, "hcc_tace_seg")
        said = "\n".join(caught.value.lines)
        assert "nearest: 'Censored_0_Progressed_1'" in said
        assert "column 'OS' (months_to_death)" in said

    @pytest.fixture
    def another_version(
        self, hcc_tace_seg_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> Callable[..., manifest.Manifest]:
        """The study with some columns of its spreadsheet renamed."""
        name = "HCC-TACE-Seg_clinical_data-V2.xlsx"

        def make(renamed: dict[str, str]) -> manifest.Manifest:
            book = openpyxl.load_workbook(hcc_tace_seg_root / name)
            for cell in book["data table"][1]:
                cell.value = renamed.get(str(cell.value), cell.value)
            book.save(tmp_path / name)
            (tmp_path / "dicom").mkdir()
            monkeypatch.setenv("HCC_TACE_SEG_ROOT", str(tmp_path))
            return manifest.Manifest.read(REAL)

        return make


LATER = [
    "Interval_FU",
    *(f"{reader}_{rule}{when}" for reader in (1, 2, 3) for rule in ("RECIST", "mRECIST")
      for when in ("_FU", "")),
    "1_EASL_FU",
    "1_EASL",
    "TTP",
    "OS",
]  # fmt: skip
"""What the glossary places after baseline: the follow-up readings, the responses, the times."""


@pytest.mark.parametrize("column", LATER)
@pytest.mark.parametrize("variable", ["afp_ng_ml", "recist_mm_r1"])
def test_no_later_column_of_the_real_sheet_can_be_a_predictor(
    tmp_path: Path, column: str, variable: str
) -> None:
    text = (REAL.parent / "codebook.yaml").read_text("utf-8")
    text = re.sub(rf"( {variable}: {{column: )[^,}}]*", rf"\g<1>{column}", text)
    (tmp_path / "codebook.yaml").write_text(text, "utf-8")
    with pytest.raises(Problems, match=f"must be known at baseline; '{column}'"):
        Codebook.read(tmp_path / "codebook.yaml")


def test_factors_of_the_real_model_are_known_at_baseline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each factor's column is one that the test above guards."""
    monkeypatch.setenv("HCC_TACE_SEG_ROOT", ".")
    plan = manifest.Manifest.read(REAL).clinical_model
    assert plan is not None
    assert {vocabulary.at_baseline(column) for column in plan.columns} == {True}
    assert not set(plan.factors) & {"death", "progression", *tables.EVENTS}
