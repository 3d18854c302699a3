"""Radiomics by hand, and by scikit-image: oracles/texture.json, made by texture.py."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hcc_utils.checks import InputError
from hcc_utils.evaluation import discrimination
from hcc_utils.models import clinical, folds, radiomics, record
from hcc_utils.models.model_d import Images
from hcc_utils.models.radiomics import FEATURES
from hcc_utils.study import results
from hcc_utils.study.scores import Scores

ORACLE = json.loads((Path(__file__).parent / "oracles" / "texture.json").read_text("utf-8"))
CHECKERBOARD = [[0, 100], [100, 0]]


def box(rows: int, columns: int, spacing_mm: float = 1.0, patient: str = "p") -> dict[str, object]:
    """A row of slices.csv, its box far from the image's edge."""
    return {
        "patient_id": patient,
        "pixel_spacing_mm": spacing_mm,
        "row_min": 100,
        "row_max": 99 + rows,
        "column_min": 200,
        "column_max": 199 + columns,
    }


def features(
    pictures: object, boxes: list[dict[str, object]], margin: int = 0, slice_spacing_mm: float = 5
) -> pd.Series:
    """Of one patient; without a margin the ellipse is inscribed in the picture."""
    scans = pd.DataFrame({"patient_id": ["p"], "slice_spacing_mm": slice_spacing_mm})
    found = radiomics.features(
        pd.DataFrame(boxes), np.array(pictures, np.int16), scans, margin_pixels=margin
    )
    assert list(found) == ["patient_id", *FEATURES]
    return found.set_index("patient_id").loc["p"]


def cohort(n: int = 60, seed: int = 1, *, planted: float = 1.0) -> pd.DataFrame:
    """Invented patients of two hospitals, their features drawn; some may tell the event."""
    draw = np.random.default_rng(seed)
    event = draw.permutation(np.arange(n) % 3 == 0)
    values = draw.normal(size=(n, len(FEATURES)))
    values[:, 5:8] += planted * event[:, None]
    return pd.DataFrame(values, columns=FEATURES).assign(
        patient_id=[f"p{number}" for number in range(n)],
        centre=np.where(np.arange(n) % 2, "a", "b"),
        aggressive_pd=event,
    )


def test_a_constant_lesion():
    """No spread, one grey level, and every pair of pixels on the matrix's diagonal."""
    found = features([np.full((6, 6), 50)], [box(6, 6)])
    assert found[["mean_hu", "p10_hu", "p90_hu"]].tolist() == [50, 50, 50]
    assert found[["sd_hu", "skewness", "excess_kurtosis", "entropy_bits"]].tolist() == [0] * 4
    assert found[list(radiomics.TEXTURE)].tolist() == [0, 1, 1, 1, 0]


def test_a_checkerboard():
    """
    Four pixels of 2 mm at 0 and 100 HU, levels 4 apart. Beside and below each other 2 + 2 pairs
    differ, across the corners 1 + 1 are alike; counted both ways 8 of 12 differ. Contrast
    8/12 * 16; mean level in the middle, variance 4: correlation 1 - 10.667 / 8; homogeneity
    4/12 + 8/12/17; shares 1/3, 1/3, 1/6, 1/6.
    """
    found = features([CHECKERBOARD], [box(2, 2, spacing_mm=2)])
    shares = np.array([1 / 3, 1 / 3, 1 / 6, 1 / 6])
    expected = {
        "mean_hu": 50,
        "sd_hu": 50,
        "p10_hu": 0,
        "p90_hu": 100,
        "skewness": 0,
        "excess_kurtosis": -2,
        "entropy_bits": 1,
        "glcm_contrast": 32 / 3,
        "glcm_correlation": -1 / 3,
        "glcm_homogeneity": 1 / 3 + 2 / 51,
        "glcm_energy": np.sqrt((shares**2).sum()),
        "glcm_entropy_bits": -(shares * np.log2(shares)).sum(),
    }
    for name, value in expected.items():
        assert found[name] == pytest.approx(value), name


def test_moments_of_a_skewed_lesion():
    """0, 0, 0, 100: mean 25, moments (75^2 + 3 * 25^2) / 4, (75^3 - 3 * 25^3) / 4 and so on."""
    found = features([[[0, 0], [0, 100]]], [box(2, 2)])
    assert found["sd_hu"] == pytest.approx(np.sqrt(1875))
    assert found["skewness"] == pytest.approx(93750 / 1875**1.5)
    assert found["excess_kurtosis"] == pytest.approx(8203125 / 1875**2 - 3)


@pytest.mark.parametrize("case", ORACLE["cases"])
def test_texture_matches_scikit_image(case):
    """In the narrow case a picture's column is half as wide as its row is high."""
    expected = ORACLE["cases"][case]
    found = features([ORACLE["picture_hu"]], [box(expected["rows_px"], expected["columns_px"])])
    for name, value in expected["texture"].items():
        assert found[name] == pytest.approx(value, rel=1e-10), name


def test_margin_and_corners_do_not_count():
    """A box of 10 x 10 widened by 5 is the middle half of a 40 x 40 picture: a circle in it."""
    away = np.hypot(*(np.indices((40, 40)) - 19.5)) > 10
    found = features([np.where(away, -900, 60)], [box(10, 10)], margin=5)
    assert found["mean_hu"] == pytest.approx(60)
    assert found["sd_hu"] == 0


def test_slices_count_by_their_area():
    """10 HU on 4 x 4 pixels, 40 HU on 4 x 8: (10 + 2 * 40) / 3."""
    found = features([np.full((8, 8), 10), np.full((8, 8), 40)], [box(4, 4), box(4, 8)])
    assert found["mean_hu"] == pytest.approx(30)


def test_shape_of_two_slices():
    """20 x 40 and 20 x 20 mm, 5 mm apart: areas pi/4 of 800 and 400 mm2."""
    found = features(np.full((2, 8, 8), 50), [box(10, 20, 2), box(10, 10, 2)])
    volume_ml = np.pi / 4 * (800 + 400) * 5 / 1000
    expected = [40, 10, np.log10(volume_ml), 20 / 40, (800 + 400) / 2 / 800]
    np.testing.assert_allclose(found[list(radiomics.SHAPE)].astype(float), expected)


def test_what_needs_an_unknown_spacing_is_missing():
    found = features(np.full((1, 8, 8), 50), [box(4, 8, np.nan)], slice_spacing_mm=np.nan)
    missing = {"longest_axis_mm", "height_mm", "log10_volume_ml", *radiomics.TEXTURE}
    assert set(found.index[found.isna()]) == missing


def test_pictures_of_other_slices_are_refused():
    with pytest.raises(InputError, match="slices has 1, pixels_hu has 2"):
        features(np.zeros((2, 8, 8)), [box(4, 4)])


def test_finds_what_is_planted():
    """Three features one SD apart: the ideal AUC is Phi(sqrt(3 / 2)) = .89."""
    table = cohort(200)
    scores = radiomics.cross_fit(table, folds.assign(table, seed=1), "aggressive_pd").table
    assert 0.8 < discrimination.auc(scores["event"], scores["risk"]).auc < 0.95


def test_finds_nothing_where_nothing_is():
    """Twenty cohorts of 90: the mean AUC within three of its own standard errors of one half."""
    found = []
    for seed in range(20):
        table = cohort(90, seed, planted=0)
        scores = radiomics.cross_fit(table, folds.assign(table, seed=seed), "aggressive_pd").table
        found.append(discrimination.auc(scores["event"], scores["risk"]).auc)
    assert abs(np.mean(found) - 0.5) < 3 * np.std(found, ddof=1) / np.sqrt(20)


@pytest.mark.parametrize("combat", [False, True])
def test_nothing_of_a_scored_patient_is_learnt(combat):
    """Another outcome and other features of one patient move no score in that patient's fold."""
    table = cohort()
    fold = folds.assign(table, seed=1)
    changed = table.copy()
    changed.loc[0, list(FEATURES)] = 9.0
    changed.loc[0, "aggressive_pd"] = not table.loc[0, "aggressive_pd"]
    before, after = (
        radiomics.cross_fit(t, fold, "aggressive_pd", combat=combat).table["score"]
        for t in (table, changed)
    )
    others = (fold == fold[0]) & (np.arange(len(table)) > 0)
    assert (before[others] == after[others]).all()
    assert not (before[fold != fold[0]] == after[fold != fold[0]]).any()


def test_a_missing_feature_is_filled_from_the_training_part():
    """Its median there, as if it had stood in the table."""
    table = cohort()
    fold = folds.assign(table, seed=1)
    holes, filled = table.copy(), table.copy()
    holes.loc[0, "height_mm"] = np.nan
    filled.loc[0, "height_mm"] = table.loc[fold != fold[0], "height_mm"].median()
    own = [radiomics.cross_fit(t, fold, "aggressive_pd").table["score"][0] for t in (holes, filled)]
    assert own[0] == pytest.approx(own[1], rel=1e-12)


class TestAtACentre:
    """Six patients of 40, each with one slice, as notebooks 01 to 03 leave them."""

    def left_by_notebooks(self, root: Path, centre: str) -> tuple[results.Folder, Images]:
        """What they read, on disk."""
        draw = np.random.default_rng(4)
        table = cohort(40)[["patient_id", "centre", "aggressive_pd"]]
        slices = pd.DataFrame(
            [box(*draw.integers(8, 40, 2), patient=name) for name in table["patient_id"]]
        )
        here = results.Folder(root=root, study="s", centre=centre, stage="03_cnn")
        made = {"margin_pixels": 5, "margin_mm": None, "size": 32}
        results.write_json(made, here.path / "preprocessing.json")
        scans = table[["patient_id"]].assign(slice_spacing_mm=5.0)
        results.write_table(scans, here.path / "scans.csv")
        pixels = draw.normal(80, 30, (40, 32, 32)).astype(np.int16)
        return here, Images(table, slices, pixels, "aggressive_pd")

    def of_model_d(self, images: Images, origin: str) -> Scores:
        """Model D's scores, in an order of their own."""
        rows = images.patients.iloc[::-1]
        fold = folds.assign(rows, seed=1) if origin == "out_of_fold" else None
        half = np.full(len(rows), 0.5)
        return Scores.of(rows, model="d", origin=origin, score=half, risk=half, fold=fold)

    def test_development_has_model_d_s_folds(self, tmp_path):
        here, images = self.left_by_notebooks(tmp_path, "development")
        d = self.of_model_d(images, "out_of_fold")
        found = radiomics.at_centre(images, d, here=here, bundle="").scores
        assert found.table["model"].unique().tolist() == ["radiomics", "radiomics_combat"]
        for model in ("radiomics", "radiomics_combat"):
            own = found.only(model=model).require("out_of_fold", use="stand here").table
            both = own.merge(d.table, on="patient_id", suffixes=("", "_d"))
            assert both["fold"].tolist() == both["fold_d"].tolist()
            assert len(both) == 40

    def test_what_the_network_adds_is_its_auc_less_the_baseline_s(self, tmp_path):
        """A Model D that knows nothing: .5 less the baseline's own AUC."""
        here, images = self.left_by_notebooks(tmp_path, "development")
        d = self.of_model_d(images, "out_of_fold")
        metrics = radiomics.at_centre(images, d, here=here, bundle="").metrics
        estimate = metrics.fillna({"comparator": ""}).set_index(["model", "comparator"])["estimate"]
        assert estimate["d", "radiomics"] == pytest.approx(0.5 - estimate["radiomics", ""])

    def test_no_figure_is_computed_from_a_demonstration(self, tmp_path):
        here, images = self.left_by_notebooks(tmp_path, "development")
        model = radiomics.at_centre(
            images, self.of_model_d(images, "out_of_fold"), here=here, bundle=""
        ).model
        record.write({"radiomics": asdict(model)}, tmp_path / "bundle")
        shown = self.of_model_d(images, "demonstration")
        found = radiomics.at_centre(images, shown, here=here, bundle=str(tmp_path / "bundle"))
        assert set(found.scores.table["origin"]) == {"demonstration"}
        assert found.metrics.empty

    def test_another_centre_has_the_frozen_model_s_scores(self, tmp_path):
        here, images = self.left_by_notebooks(tmp_path, "development")
        d = self.of_model_d(images, "out_of_fold")
        model = radiomics.at_centre(images, d, here=here, bundle="").model
        record.write({"radiomics": asdict(model)}, tmp_path / "bundle")
        there, images = self.left_by_notebooks(tmp_path, "hospital_c")
        d = self.of_model_d(images, "external")
        found = radiomics.at_centre(images, d, here=there, bundle=str(tmp_path / "bundle"))
        own = found.scores.require("external", use="stand here").table
        assert own["model"].unique().tolist() == ["radiomics"]
        assert own["score"].tolist() == model.score(found.patients).tolist()

    def test_a_bundle_without_the_model_is_refused(self, tmp_path):
        here, images = self.left_by_notebooks(tmp_path, "hospital_c")
        record.write({"radiomics": {}}, tmp_path / "bundle")
        d = self.of_model_d(images, "external")
        with pytest.raises(InputError, match=r"holds no radiomics model.*Run development again"):
            radiomics.at_centre(images, d, here=here, bundle=str(tmp_path / "bundle"))

    def test_scores_of_trained_patients_are_refused(self, tmp_path):
        here, images = self.left_by_notebooks(tmp_path, "development")
        with pytest.raises(InputError, match="'apparent' cannot be used to draw the folds"):
            radiomics.at_centre(images, self.of_model_d(images, "apparent"), here=here, bundle="")


def test_the_frozen_model_comes_back_from_json():
    table = cohort()
    model = radiomics.fit(table, "aggressive_pd")
    again = clinical.ClinicalModel.from_dict(json.loads(json.dumps(asdict(model))))
    assert again.score(table).tolist() == model.score(table).tolist()
