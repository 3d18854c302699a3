"""The codebook: what a faulty one is told, all at once and line by line."""

from __future__ import annotations

from pathlib import Path

import pytest

from hcc_utils import checks
from hcc_utils.study.codebook import Codebook, is_number, plain

GOOD = """\
missing: ["", n/a, 999]
columns:
  patient_id: {column: PatNo}
  sex: {column: Sex, codes: {1: male, 2: female}}
  treatment: {constant: tace}
  cirrhosis: {column: Cirrhosis, codes: {yes: true, no: false}}
  diameter_mm: {column: Size_cm, multiply_by: 10}
  baseline_spread: {any_of: [VI, M]}
"""


def _read(folder: Path, text: str) -> Codebook:
    path = folder / "codebook.yaml"
    path.write_text(text, "utf-8")
    return Codebook.read(path)


def test_columns_are_read(tmp_path: Path) -> None:
    columns = _read(tmp_path, GOOD).columns
    assert columns["sex"].codes == {"1": "male", "2": "female"}
    assert columns["sex"].line == 4
    assert columns["treatment"].constant == "tace"
    assert columns["diameter_mm"].multiply_by == 10
    assert columns["baseline_spread"].columns == ("VI", "M")


def test_unquoted_yes_and_no_are_the_hospitals_words(tmp_path: Path) -> None:
    assert _read(tmp_path, GOOD).columns["cirrhosis"].codes == {"yes": True, "no": False}


def test_an_empty_cell_is_always_missing(tmp_path: Path) -> None:
    assert _read(tmp_path, GOOD.replace('["", n/a, 999]', "[n/a]")).missing == {"", "n/a"}


def test_a_code_holds_for_each_form_of_a_number(tmp_path: Path) -> None:
    sex = _read(tmp_path, GOOD).columns["sex"]
    assert [sex.meaning(cell) for cell in ("1", "1.0", "2")] == ["male", "male", "female"]


def test_an_unknown_cell_has_no_meaning(tmp_path: Path) -> None:
    with pytest.raises(KeyError):
        _read(tmp_path, GOOD).columns["sex"].meaning("3")


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        pytest.param(
            "  sex:",
            "  sexx:",
            "codebook.yaml:4: columns.sexx: is not in the vocabulary (nearest: 'sex').",
            id="unknown name",
        ),
        pytest.param(
            "1: male",
            "1: mal",
            "codebook.yaml:4: columns.sex.codes.1: must mean one of male, female (or null: not "
            "known); got 'mal' (nearest: 'male').",
            id="unknown level",
        ),
        pytest.param("yes: true", "yes: 1", "codes.yes: must mean true or false", id="flag of 1"),
        pytest.param(
            "column: Sex",
            "col: Sex",
            "codebook.yaml:4: columns.sex.col: is not a key that is known here "
            "(nearest: 'column').",
            id="unknown key",
        ),
        pytest.param(
            "column: Sex",
            "column: Sex, constant: male",
            "columns.sex: must hold exactly one of column, any_of and constant",
            id="two sources",
        ),
        pytest.param("column: Sex", "column: 12", "columns.sex.column: must be the name", id="12"),
        pytest.param(
            "column: Sex", "any_of: [A, B]", "columns.sex.any_of: is for flags alone", id="any_of"
        ),
        pytest.param("[VI, M]", "VI", "any_of: must be a list of columns", id="any_of a word"),
        pytest.param(
            "{1: male, 2: female}", "{1: male, 1.0: female}", "stands already", id="1 and 1.0"
        ),
        pytest.param(
            "{1: male, 2: female}",
            '{1: male, "1": female}',
            "codebook.yaml:4: columns.sex.codes.1: means the same cell as a code above it",
            id="1 and '1'",
        ),
        pytest.param("{1: male, 2: female}", "[1, 2]", "codes: must hold cells", id="codes a list"),
        pytest.param("by: 10", "by: 0", "multiply_by: must be a number above 0", id="by 0"),
        pytest.param("by: 10", "by: ten", "multiply_by: must be a number above 0", id="by ten"),
        pytest.param("by: 10", "by: true", "multiply_by: must be a number above 0", id="by true"),
        pytest.param(
            "column: Sex", "column: Sex, multiply_by: 2", "multiply_by: is for numbers", id="sex 2"
        ),
        pytest.param("constant: tace", "constant: tase", "(nearest: 'tace')", id="constant"),
        pytest.param(
            "  treatment: {constant: tace}",
            "  age_years: {constant: 17}",
            "columns.age_years.constant: must lie from 18 to 110",
            id="constant out of bounds",
        ),
        pytest.param(
            "constant: tace",
            "constant: tace, codes: {a: tace}",
            "treatment.codes: means nothing beside a constant",
            id="codes of a constant",
        ),
        pytest.param(
            "{column: PatNo}", "{constant: a}", "an id is read from a column", id="constant id"
        ),
        pytest.param(
            "  patient_id: {column: PatNo}\n",
            "",
            "columns: must say at least which column holds patient_id",
            id="no id",
        ),
        pytest.param(
            "  treatment: {constant: tace}",
            "  centre: {column: Site}",
            "columns.centre: is set by the manifest",
            id="centre",
        ),
        pytest.param("{column: PatNo}", "PatNo", "columns.patient_id: must hold keys", id="word"),
        pytest.param("missing:", "missed:", "(nearest: 'missing')", id="misspelt missing"),
        pytest.param('["", n/a, 999]', "n/a", "missing: must be a list", id="missing a word"),
        pytest.param(
            "  sex:",
            "  cirrhosis: {column: C}\n  sex:",
            "columns.cirrhosis: stands already in line 4",
            id="duplicate",
        ),
    ],
)
def test_faulty_codebook_is_told_why(tmp_path: Path, old: str, new: str, expected: str) -> None:
    assert GOOD.count(old) == 1
    with pytest.raises(checks.Problems) as caught:
        _read(tmp_path, GOOD.replace(old, new))
    lines = caught.value.lines
    assert any(expected in line for line in lines), lines


def test_all_problems_come_at_once(tmp_path: Path) -> None:
    text = GOOD.replace("1: male", "1: mal").replace("yes: true", "yes: 1").replace("10", "x")
    with pytest.raises(checks.Problems) as caught:
        _read(tmp_path, text)
    assert len(caught.value.lines) == 3


@pytest.mark.parametrize(
    ("cell", "text"),
    [(1, "1"), (1.0, "1"), (" 1.50 ", "1.50"), (True, "true"), ("FALSE", "false"), (None, "")],
)
def test_plain_text_of_a_cell(cell: object, text: str) -> None:
    assert plain(cell) == text


@pytest.mark.parametrize("cell", ["1,5", "inf", "nan", "1_000", "0x1", "", "-", "1 000", "٣"])
def test_what_is_no_plain_number(cell: str) -> None:
    assert not is_number(cell)


@pytest.mark.parametrize("cell", ["1", "-1.5", "+.5", "1e5", "1.", "2E-3"])
def test_what_is_a_plain_number(cell: str) -> None:
    assert is_number(cell)


LATER = 'after_baseline: ["*_FU", "?_RECIST"]\n'


@pytest.mark.parametrize("later", ["AFP_FU", "1_RECIST"])
def test_what_was_measured_later_cannot_be_known_at_baseline(tmp_path: Path, later: str) -> None:
    with pytest.raises(checks.Problems, match="must be known at baseline") as caught:
        _read(tmp_path, LATER + GOOD + f"  afp_ng_ml: {{column: {later}}}\n")
    assert "codebook.yaml:10" in caught.value.lines[0]


def test_an_outcome_may_be_measured_later(tmp_path: Path) -> None:
    book = _read(tmp_path, LATER + GOOD + "  death: {column: Death_FU}\n")
    assert book.columns["death"].columns == ("Death_FU",)


def test_a_column_of_baseline_passes_beside_later_ones(tmp_path: Path) -> None:
    book = _read(tmp_path, LATER + GOOD + "  recist_mm_r1: {column: 1_RECIST_BL, optional: true}\n")
    assert book.columns["recist_mm_r1"].optional


def test_optional_is_true_or_false(tmp_path: Path) -> None:
    with pytest.raises(checks.Problems, match="must be true or false"):
        _read(tmp_path, GOOD + "  afp_ng_ml: {column: AFP, optional: perhaps}\n")
