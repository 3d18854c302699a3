"""The real collection through the same command to its book, wherever its files are.

Counts are those of the collection's own README, or counted by hand in its spreadsheet.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hcc_utils.models import noise_probe, radiomics, record
from hcc_utils.models.bundle import Bundle
from hcc_utils.models.settings import Settings
from hcc_utils.study import results

pytestmark = pytest.mark.real_data

MANIFEST = Path(__file__).parents[1] / "studies" / "hcc_tace_seg" / "manifest.yaml"
CHAPTERS = [stage for stage in results.STAGES if stage not in results.TOGETHER]


def hcc_run(manifest: Path, root: Path) -> subprocess.CompletedProcess[str]:
    words = ["run", "--manifest", str(manifest), "--results", str(root), "--cores", "2"]
    command = [sys.executable, "-c", "from hcc_utils.cli import main; main()", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def untrained_demo_bundle(folder: Path) -> None:
    """What the demo study leaves, but for the training: the path is what is tested here."""
    settings = Settings(epochs=1)
    draws = np.random.default_rng(1)
    drawn = pd.DataFrame(
        draws.normal(size=(40, len(radiomics.FEATURES))), columns=radiomics.FEATURES
    )
    baseline = radiomics.fit(drawn.assign(event=np.arange(40) % 2 == 0), "event")
    Bundle(
        network=settings.network(),
        settings=settings,
        preprocessing={"margin_pixels": 5, "size": 128},
        training_centres=["hospital_a", "hospital_b"],
        radiomics=baseline.to_dict(),
        synthetic=True,
    ).write(folder)
    curves = pd.DataFrame({"network": ["final"], "epoch": [1], "loss": [0.7], "inner_auc": [0.5]})
    results.write_table(curves, folder / record.CURVES)
    results.write_table(pd.DataFrame(columns=list(noise_probe.COLUMNS)), folder / record.NOISE)


@pytest.fixture(scope="module")
def study(hcc_tace_seg_root, tmp_path_factory):
    """The study's results, run once."""
    root = tmp_path_factory.mktemp("real")
    untrained_demo_bundle(root / "demo" / "bundle")
    done = hcc_run(MANIFEST, root)
    assert done.returncode == 0, done.stdout + done.stderr
    return root / "hcc_tace_seg"


def table(study: Path, name: str) -> pd.DataFrame:
    return results.read_table(study / "development" / name)


def words(study: Path, page: str) -> str:
    """What a reader sees of a page."""
    text = (study / "book" / f"{page}.html").read_text("utf-8")
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", text))


def test_everything_but_the_pooled_page_runs(study):
    for stage in CHAPTERS:
        assert (study / "book" / "development" / f"{stage}.html").is_file()
    assert "There is one centre." in words(study, "index")


def test_the_flow_counts_spread_at_baseline_and_lifts_it(study):
    """23 with vascular invasion, 7 with metastasis of whom 5 have both, 80 with neither."""
    flow = table(study, "flow.csv").set_index("step")
    assert flow.loc["no_macrovascular_invasion", ["excluded", "remaining"]].tolist() == [23, 82]
    assert flow.loc["no_metastasis", ["excluded", "remaining"]].tolist() == [2, 80]
    assert flow.loc["come_back", ["excluded", "remaining"]].tolist() == [-25, 105]
    failing = table(study, "criteria.csv").set_index("rule")["failing"]
    assert failing["no_metastasis"] == 7


def test_table_one_is_of_all_105_by_child_pugh_and_by_images(study):
    first = table(study, "table_one.csv").groupby("by").first()
    assert list(first.index) == ["child_pugh", "has_images"]
    assert first.loc["child_pugh", ["A", "B", "C"]].astype(int).tolist() == [86, 18, 1]
    assert first.loc["has_images", ["False", "True"]].astype(int).tolist() == [101, 4]


def test_slices_are_those_of_the_boxes_and_the_mismatch_is_said(study):
    """40, 43 and 12 boxes; HCC_048 has none, and another name in its headers."""
    slices = table(study, "slices.csv")
    assert slices.groupby("patient_id").size().tolist() == [40, 43, 12]
    page = words(study, "development/02_preprocessing")
    assert "HCC_048" in page
    assert "its headers name another PatientID" in page


def test_the_borrowed_network_is_stamped_and_not_judged(study):
    page = words(study, "development/03_cnn")
    assert "Trained on synthetic images: no meaning." in page
    assert "AUC" not in page.rpartition("What we found")[2]
    scores = table(study, "scores_d.csv")
    assert set(scores["origin"]) == {"demonstration"}


def test_one_clinical_model_is_scored_out_of_fold_at_its_horizon(study):
    """One of 105 is alive with a last contact before 12 months; 35 progressed within them."""
    scores = table(study, "scores.csv")
    assert set(scores["model"]) == {"clinical"}
    assert set(scores["origin"]) == {"out_of_fold"}
    assert set(scores["horizon_months"]) == {12}
    assert len(scores) == 104
    assert scores["event"].sum() == 35


def test_the_model_holds_the_named_factors_and_nothing_later(study):
    models = json.loads((study / "development" / "models.json").read_text("utf-8"))
    assert set(models["clinical"]["terms"]) == {
        "log10_afp_ng_ml",
        "multinodular",
        "baseline_macrovascular_invasion",
        "child_pugh_b_or_c",
    }


def test_optimism_lies_between_the_fit_and_what_is_left(study):
    rows = table(study, "optimism.csv").set_index("metric")
    assert rows.loc["auc", "corrected"] < rows.loc["auc", "apparent"]
    assert rows.loc["auc", "low"] < rows.loc["auc", "corrected"] < rows.loc["auc", "high"]


def test_no_page_speaks_of_the_paper_s_endpoint(study):
    pages = [p for p in (study / "book").rglob("*.html") if "_static" not in p.parts]
    assert len(pages) > 8
    for path in (*pages, study / "book" / "searchindex.js"):
        assert "aggressive" not in path.read_text("utf-8").lower(), path


@pytest.mark.parametrize("page", ["index", "data"])
def test_the_surrogate_and_the_collection_are_named(study, page):
    said = words(study, page)
    assert "Progression is a surrogate." in said
    assert "doi:10.7937/TCIA.5FNA-0924" in said


def test_without_the_demo_s_network_the_rest_runs(hcc_tace_seg_root, tmp_path):
    """A study of the table alone, with no bundle: the chapter is left out, and why."""
    text = MANIFEST.read_text("utf-8").replace(
        "chapters_left_out:\n",
        "chapters_left_out:\n  02_preprocessing: not asked here\n  04_comparison: not asked here\n"
        "  05_nomogram_dca: not asked here\n",
    )
    (tmp_path / "manifest.yaml").write_text(text, "utf-8")
    for name in ("codebook.yaml", "landmarks.csv"):
        shutil.copy(MANIFEST.parent / name, tmp_path)
    done = hcc_run(tmp_path / "manifest.yaml", tmp_path / "results")
    assert done.returncode == 0, done.stdout + done.stderr
    said = words(tmp_path / "results" / "hcc_tace_seg", "index")
    assert "borrows the network of the study demo, which has not been run here" in said
