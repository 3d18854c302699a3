"""The book is whole or it is not built: chapters, pages, stamp, and nothing from outside."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import sample_study

from hcc_utils import checks
from hcc_utils.orchestration import book, book_pages
from hcc_utils.study import results

MODELS = ["cs", "d", "csd"]


@pytest.fixture(scope="module")
def study() -> Path:
    return sample_study.with_book()


@pytest.fixture
def changed(tmp_path) -> Path:
    """Results that a test may spoil; none of their chapters is run."""
    sample_study.write(tmp_path, run=False)
    return tmp_path


def page(study: Path, name: str) -> str:
    return (study / "book" / f"{name}.html").read_text("utf-8")


def pages(study: Path) -> list[Path]:
    found = [p for p in (study / "book").rglob("*.html") if "_static" not in p.parts]
    assert len(found) > 20
    return found


def test_every_page_is_stamped(study):
    for path in pages(study):
        assert book.SYNTHETIC_STAMP in path.read_text("utf-8"), path


def test_every_printed_sheet_is_stamped(study):
    """Chromium and Edge write the margin box on each sheet; others print the stamp once."""
    style = (study / "book" / "_static" / "hcc_stamp.css").read_text("utf-8")
    assert f'@top-center {{ content: "{book.SYNTHETIC_STAMP}"' in style
    assert "hcc_stamp.css" in page(study, "index")


@pytest.fixture(scope="module")
def other(tmp_path_factory) -> Path:
    """The sample with another endpoint, without the published models and one chapter."""
    folder = tmp_path_factory.mktemp("other") / "sample"
    sample_study.write(folder, run=False)
    study = sample_study.manifest(
        folder,
        endpoint="progression",
        endpoint_note="A surrogate: it stands for what was not recorded.",
        citation="Somebody. A collection. 2021.",
        synthetic=False,
        public=True,
        models_left_out={"cs": "no capsule", "d": "no outlines", "csd": "neither"},
        chapters_left_out={"07_pooled": "one centre"},
    )
    book.build(folder, study)
    return folder


def test_a_study_of_another_endpoint_never_speaks_of_the_paper_s(other):
    """Neither its pages nor what its search finds."""
    found = [*pages(other), other / "book" / "searchindex.js"]
    said = [path.name for path in found if "aggressive" in path.read_text("utf-8").lower()]
    assert said == []


def test_a_study_says_its_endpoint_s_limits_and_whom_to_cite(other):
    for words in ("A surrogate: it stands", "Somebody. A collection."):
        assert words in page(other, "index")
        assert words in page(other, "data")


def test_a_study_says_which_models_and_chapters_it_cannot_make(other):
    for name in ("index", "data", "centres/development"):
        assert "no capsule" in page(other, name)
        assert "07_pooled" in page(other, name)


def test_a_public_collection_is_stamped_as_one(other):
    assert book.PUBLIC_STAMP in page(other, "index")
    assert book.INTERNAL_STAMP not in page(other, "index")


def test_the_paper_s_question_keeps_its_pages(study):
    assert "Aggressive progression" in page(study, "index")
    assert (study / "book" / "paper.html").is_file()


def test_no_page_asks_the_network(study):
    """Links that a reader may follow are no parts of the page."""
    part = re.compile(r"<(?:script|img|iframe|link)\b[^>]*(?:src|href)=[\"'](?:https?:)?//[^>]*>")
    for path in pages(study):
        assert not part.findall(path.read_text("utf-8")), path
    for style in (study / "book" / "_static").rglob("*.css"):
        assert "url(http" not in style.read_text("utf-8"), style


def test_one_plotly_serves_all_pages(study):
    assert len(list((study / "book").rglob("plotly*.js"))) == 1
    assert "plotly.min.js" in page(study, "hospital_c/05_nomogram_dca")
    assert "plotly.min.js" not in page(study, "methods")


def test_the_figure_carries_its_words(study):
    assert 'aria-label="Decision curves. Model CSD is above both' in page(
        study, "hospital_c/05_nomogram_dca"
    )


def test_parameters_are_gone_and_code_is_folded(study):
    text = page(study, "hospital_c/05_nomogram_dca")
    assert "centre = " not in text
    assert "Show the code" in text


def test_front_page_reads_its_numbers_from_the_tables(study):
    """The sample's metrics.csv: 22 events of 96; CSD .79 (.70 to .86)."""
    text = re.sub(r"<[^>]+>", " ", page(study, "index"))
    assert re.search(r"Hospital C\s+22 of 96 .*0\.79 \(0\.70 to 0\.86\)", text, re.DOTALL)


def test_a_centre_page_says_how_many_remain(study):
    assert "Of 101 patients screened, 96 are in the study." in page(study, "centres/hospital_c")


def test_a_refused_centre_has_its_reason_and_nothing_else(study):
    assert "patients.csv, line 7" in page(study, "centres/hospital_d")
    assert not (study / "book" / "hospital_d").exists()


def test_real_data_without_a_network_chapter(changed):
    """The stamp is another one; the chapter left out is missed by nobody, and explained."""
    for centre in ("development", "hospital_c"):
        (changed / centre / "notebooks" / "03_cnn.ipynb").unlink()
    left_out = {"03_cnn": "no outlines [yet]"}
    study = sample_study.manifest(changed, synthetic=False, chapters_left_out=left_out)
    front = book.build(changed, study).read_text("utf-8")
    assert book.INTERNAL_STAMP in front
    assert book.SYNTHETIC_STAMP not in front
    text = page(changed, "centres/development")
    assert "no outlines [yet]" in text
    assert "../development/03_cnn.html" not in text


def test_few_events_stay_off_the_front_page(changed):
    table = results.read_table(changed / "hospital_c" / "metrics.csv")
    results.write_table(table.assign(events=9), changed / "hospital_c" / "metrics.csv")
    assert book_pages.auc_cells(changed / "hospital_c", MODELS) == "9 of 96 | — | — | —"


def test_scores_of_fitted_patients_stay_off_the_front_page(changed):
    table = results.read_table(changed / "development" / "metrics.csv")
    table.loc[table["model"] == "csd", "origin"] = "stacked"
    results.write_table(table, changed / "development" / "metrics.csv")
    cells = book_pages.auc_cells(changed / "development", MODELS)
    assert cells.endswith("0.75 (0.64 to 0.83) | —")


def spoil(tables: Path, stage: str, **cell: object) -> None:
    """Change a chapter's last cell."""
    content = sample_study.stored(tables, stage)
    content["cells"][-1] |= cell
    (tables / "notebooks" / f"{stage}.ipynb").write_text(json.dumps(content), "utf-8")


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        pytest.param(
            {"source": "figures.roc(table)"}, r"draws 1 figure\(s\) and it holds 0", id="no figure"
        ),
        pytest.param({"execution_count": None}, "not every cell was run", id="not run"),
        pytest.param(
            {"outputs": [{"output_type": "error", "ename": "E", "evalue": "why", "traceback": []}]},
            r"a cell failed \(E: why\)",
            id="failed",
        ),
        pytest.param(
            {
                "outputs": [
                    {
                        "output_type": "display_data",
                        "metadata": {},
                        "data": {book.PLOTLY: {"data": [], "layout": {}}},
                    }
                ]
            },
            "lack their words",
            id="no words",
        ),
        pytest.param(
            {
                "outputs": [
                    {
                        "output_type": "display_data",
                        "metadata": {},
                        "data": {"text/markdown": [], "text/plain": "<Markdown object>"},
                    }
                ]
            },
            "a sentence is empty",
            id="no sentence",
        ),
    ],
)
def test_a_chapter_that_is_not_whole_is_refused(changed, cell, message):
    spoil(changed / "hospital_c", "04_comparison", **cell)
    with pytest.raises(checks.InputError, match=message):
        book.build(changed, sample_study.manifest(changed))


def test_all_missing_notebooks_are_listed(changed):
    for centre in ("development", "hospital_c"):
        (changed / centre / "notebooks" / "06_survival.ipynb").unlink()
    with pytest.raises(checks.InputError, match=r"needs 2 executed .*/hospital_c/notebooks/06"):
        book.build(changed, sample_study.manifest(changed))


def test_a_failed_build_keeps_the_earlier_book(changed):
    """An output of a kind that no page can show is a warning, and warnings are errors."""
    (changed / "book").mkdir()
    (changed / "book" / "index.html").write_text("earlier", "utf-8")
    unknown = {"output_type": "display_data", "metadata": {}, "data": {"application/x-odd": "?"}}
    spoil(changed / "hospital_c", "04_comparison", outputs=[unknown])
    with pytest.raises(checks.InputError, match="skipping unknown output mime type"):
        book.build(changed, sample_study.manifest(changed))
    assert (changed / "book" / "index.html").read_text("utf-8") == "earlier"
    assert not list(changed.glob(".book-*"))


def test_before_a_run_it_says_what_to_do(tmp_path):
    with pytest.raises(checks.InputError, match="`hcc run` writes it"):
        book.build(tmp_path, sample_study.manifest(tmp_path))
