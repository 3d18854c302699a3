"""Negative controls: nothing is found in nothing, and a leak put there on purpose is found."""

from __future__ import annotations

import functools

import numpy as np
import pandas as pd
import pytest
import sample_study
from scipy import special

from hcc_utils.models import clinical, controls, protocol
from hcc_utils.presentation import figures, words
from hcc_utils.study import results
from hcc_utils.study.scores import Scores

ENDPOINT = "aggressive_pd"
HOW = {"endpoint": ENDPOINT, "draws": 10, "seed": 1}
N = 100


@pytest.fixture(scope="module")
def patients():
    """The outcome follows the diameter; the age tells nothing."""
    draw = np.random.default_rng(3)
    diameter_mm = draw.normal(50, 15, N)
    event = draw.random(N) < special.expit((diameter_mm - 60) / 10)
    return pd.DataFrame(
        {
            "patient_id": [f"p{number:03d}" for number in range(N)],
            "centre": np.repeat(["a", "b"], N // 2),
            "diameter_mm": diameter_mm,
            "age_years": draw.normal(55, 10, N),
            ENDPOINT: pd.array(event, dtype="boolean"),
            "months_to_aggressive_pd": draw.uniform(1, 30, N),
            "death": pd.array([False] * N, dtype="boolean"),
            "months_to_death": 36.0,
        }
    )


@pytest.fixture(scope="module")
def score(patients):
    """Model D's scores: they know the true outcome well."""
    noise = np.random.default_rng(4).normal(size=N)
    return special.expit(2 * patients[ENDPOINT].to_numpy(dtype=float) - 1 + noise)


@pytest.fixture(scope="module")
def permuted(patients, score):
    return controls.permuted_outcome(patients, score, **HOW)


@pytest.fixture(scope="module")
def noise(patients):
    """Model CS is the same in each draw: it is fitted once for each set of training patients."""
    fitted = functools.cache(lambda ids, fold: cross_fit(at(list(ids)), np.array(fold), ENDPOINT))
    at, cross_fit = patients.set_index("patient_id", drop=False).loc.__getitem__, clinical.cross_fit
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            clinical, "cross_fit", lambda p, fold, _: fitted((*p["patient_id"],), (*fold,))
        )
        return controls.noise_score(patients, **HOW)


def row(table, model, metric="auc", origin="out_of_fold"):
    kept = (table["model"] == model) & (table["metric"] == metric) & (table["origin"] == origin)
    return table[kept].iloc[0]


def test_a_verdict_worked_by_hand():
    """Draws 0.50, 0.56, 0.53 four times: mean 0.53, SD 0.0256, z = 0.03 / (0.0256 / sqrt(12))."""
    index = pd.MultiIndex.from_tuples(controls._FIGURES, names=controls._FIGURE)
    draws = [pd.Series(value, index=index) for value in (0.50, 0.56, 0.53) * 4]
    table = controls._judged("permuted_outcome", draws, pd.Series(0.5, index=index))
    first = table.iloc[0]
    sd = np.sqrt(8 * 0.03**2 / 11)  # eight of twelve lie 0.03 off their mean
    assert (first["mean"], first["sd"], first["first"]) == pytest.approx((0.53, sd, 0.50))
    assert first["z"] == pytest.approx(0.03 / (sd / np.sqrt(12)))
    assert set(table["verdict"]) == {"above"}
    below = controls._judged("permuted_outcome", draws, pd.Series(0.56, index=index))
    assert set(below["verdict"]) == {"below"}
    at = controls._judged("permuted_outcome", draws, pd.Series(0.52, index=index))
    assert set(at["verdict"]) == {"at_null"}
    few = controls._judged("permuted_outcome", draws[:9], pd.Series(0.0, index=index))
    assert set(few["verdict"]) == {"too_few_draws"}


def test_the_true_outcome_is_found(patients, score):
    """What makes the controls worth something: the same code does tell where there is something."""
    found = controls.figures(patients, score.take, ENDPOINT, seed=1)
    assert found["cs", "", "out_of_fold", "auc"] > 0.65
    assert found["csd", "cs", "out_of_fold", "auc_difference"] > 0.1


def test_a_permuted_outcome_comes_out_null(permuted):
    honest = permuted[(permuted["origin"] != "stacked") & (permuted["metric"] != "scaled_brier")]
    assert honest["verdict"].tolist() == ["at_null"] * 6
    assert honest["z"].abs().max() <= 3


def test_the_stacked_model_finds_something_in_nothing(permuted, noise):
    assert row(permuted, "csd", origin="stacked")["verdict"] == "above"
    assert row(noise, "csd", origin="stacked")["z"] > row(noise, "csd")["z"]


def test_noise_adds_nothing(noise):
    assert "cs" not in set(noise["model"])
    added = noise[(noise["origin"] != "stacked") & (noise["metric"] != "nri")]
    assert not (added["verdict"] == "above").any()


def test_noise_moves_the_nri_off_its_null_and_that_is_said(noise):
    """It counts moves however small, and noise turns some of them round: no leak."""
    assert row(noise, "csd", "nri")["verdict"] == "above"
    said = words.controls_verdict(noise)
    assert "NRI counts moves however small" in said
    assert "no out-of-fold figure may be" not in said


def test_the_null_of_noise_is_one_score_for_everybody(patients, noise):
    """Model CSD draws Model CS's risks in, so that what it adds is not 0 even then."""
    same = controls.figures(patients, lambda rows: np.full(len(rows), 0.5), ENDPOINT, seed=1)
    key = ("csd", "cs", "out_of_fold", "idi")
    assert row(noise, "csd", "idi")["null"] == same[key]
    assert same[key] != 0


def test_leaks_put_there_on_purpose_are_caught(patients, score, monkeypatch):
    """Model CS fitted and scored on the same patients; Model D's scores lean on what was dealt."""

    def in_sample(patients, fold, outcome):
        model = clinical.fit(patients, outcome, p_below=1)
        found = {"score": model.score(patients), "risk": model.risk(patients)}
        return Scores.of(
            patients, model="cs", origin="out_of_fold", fold=fold, event=outcome, **found
        )

    def leaking(patients, d, inner, endpoint):
        leant = special.expit(special.logit(d.table["score"]) + d.table["event"])
        return develop(patients, Scores(d.table.assign(score=leant)), inner, endpoint)

    develop, draw = protocol.develop, np.random.default_rng(5)
    flags = ("cirrhosis", "hbv", "fusion_lesion", "mosaic", "nodule_in_nodule", "at_surface")
    more = {name: pd.array(draw.random(N) < 0.5, dtype="boolean") for name in flags}
    monkeypatch.setattr(clinical, "cross_fit", in_sample)
    monkeypatch.setattr(protocol, "develop", leaking)
    caught = controls.permuted_outcome(patients.assign(**more), score, **HOW)
    assert row(caught, "cs")["verdict"] == "above"
    assert row(caught, "d")["verdict"] == "above"
    said = words.controls_verdict(caught)
    assert "no out-of-fold figure may be: permuted outcome, AUC, Model CS" in said


def test_the_whole_outcome_is_dealt_out(patients, score, monkeypatch):
    """An event keeps its own months; factors stay with their patient."""
    seen = []
    monkeypatch.setattr(controls, "figures", lambda patients, *_, **__: seen.append(patients))
    monkeypatch.setattr(controls, "_judged", lambda *_: None)
    controls.permuted_outcome(patients, score, ENDPOINT, draws=1, seed=1)
    pair = [ENDPOINT, "months_to_aggressive_pd"]
    assert not seen[0][pair].equals(patients[pair])
    by_months = [
        table[pair].sort_values(pair[1], ignore_index=True) for table in (seen[0], patients)
    ]
    pd.testing.assert_frame_equal(*by_months)
    pd.testing.assert_frame_equal(seen[0].drop(columns=pair), patients.drop(columns=pair))


@pytest.fixture
def here(tmp_path, patients, score):
    """Development as notebooks 01 and 03 leave it: one patient has no score."""
    development = tmp_path / "s" / "development"
    results.write_table(patients, development / "patients.csv")
    scored = patients.iloc[1:]
    fold = np.arange(len(scored)) % 5
    known = score[1:]
    Scores.of(scored, model="d", origin="out_of_fold", score=known, risk=known, fold=fold).write(
        development / "scores_d.csv"
    )
    return results.Folder(root=tmp_path, study="s", centre="controls", stage="09_controls")


def invented(patients, score_of, endpoint, seed):
    """Figures in place of a development."""
    assert len(patients) == len(score_of(np.arange(N - 1))) == N - 1, "those whom Model D scored"
    index = pd.MultiIndex.from_tuples(controls._FIGURES, names=controls._FIGURE)
    return pd.Series(np.random.default_rng().normal(size=len(index)), index=index)


def test_a_study_s_controls_read_in_words(here, tmp_path, monkeypatch):
    """Three draws of the profile tiny: every figure is there, and no verdict is given."""
    monkeypatch.setattr(controls, "figures", invented)
    table = controls.of_study(sample_study.manifest(tmp_path), here=here, profile="tiny")
    here.write(table, "controls.csv")
    assert table["control"].value_counts().to_dict() == {"permuted_outcome": 8, "noise_score": 7}
    assert set(table["verdict"]) == {"too_few_draws"}
    shown = words.controls(table)
    assert ("Noise in place of Model D", "AUC, Model CSD (stacked)") in shown.index
    assert "3 draws are too few to tell" in words.controls_verdict(table)
    assert figures.controls(table).layout.meta["alt"].startswith("Negative controls")


def test_few_events_have_no_controls(here, tmp_path, patients):
    nine = patients.assign(**{ENDPOINT: np.arange(N) < 10})  # the first of them has no score
    results.write_table(nine, here.path.parent / "development" / "patients.csv")
    table = controls.of_study(sample_study.manifest(tmp_path), here=here, profile="tiny")
    assert table.columns.tolist() == controls.COLUMNS
    assert table.empty
    assert "Fewer than 10 events" in words.controls_verdict(table)
    assert "Fewer than 10 events" in words.controls(table)._repr_html_()
    assert "nothing to draw" in figures.controls(table).layout.meta["alt"]
