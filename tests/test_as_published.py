"""The paper's choices in a folder of their own: what looks at validation patients is named so."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import sample_study
from test_training import QUICK, silent, study

from hcc_utils import checks
from hcc_utils.models import as_published, folds, settings, training
from hcc_utils.study import results
from hcc_utils.study.scores import Scores

CENTRES = ("hospital_a", "hospital_c", "hospital_d")
HERE = {"study": "s", "centre": "as_published", "stage": "08_as_published"}


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setitem(settings.PROFILES, "tiny", QUICK)


OTHER = {"score": [0.5] * 20, "risk": [0.5] * 20}
"""Of Model CSD by a horizon, in the same file: the gap is that of 'ever'."""


@pytest.fixture
def here(tmp_path):
    """Twenty patients a hospital, as notebooks 01 to 03 leave them; hospital D was refused."""
    pixels, slices, patients = study(n_patients=60)
    patients["centre"] = np.repeat(CENTRES, 20)
    draw = np.random.default_rng(2)
    patients["diameter_mm"] = draw.normal(50, 10, 60) + 15 * patients["aggressive_pd"]
    for centre, own in patients.groupby("centre"):
        origin = "out_of_fold" if centre == "hospital_a" else "external"
        folder = tmp_path / "s" / ("development" if centre == "hospital_a" else str(centre))
        results.write_table(own, folder / "patients.csv")
        mine = slices["patient_id"].isin(own["patient_id"]).to_numpy()
        results.write_table(slices[mine], folder / "slices.csv")
        np.save(folder / "slices.npy", pixels[mine])
        risk = np.linspace(0.1, 0.9, 20)
        cs, d, csd = (
            Scores.of(own, model=model, origin=origin, score=risk, risk=risk)
            for model in ("cs", "d", "csd")
        )
        by_a_year = Scores.of(own, model="csd", origin=origin, **OTHER, horizon_months=12)
        (cs + d + csd + by_a_year).write(folder / "scores.csv")
    verdicts = {"accepted": ["hospital_c"], "refused": {"hospital_d": ["a reason"]}}
    results.write_json(verdicts, tmp_path / "s" / "accepted.json")
    return results.Folder(root=tmp_path, **HERE)


@pytest.fixture
def one_site(tmp_path):
    return sample_study.manifest(tmp_path, rows_at_one_site=True)


def test_each_score_says_what_the_network_has_seen(here, one_site):
    found = as_published.at_one_site(one_site, here=here, profile="tiny")
    table = found.scores.table
    assert set(table["protocol"]) == {"as_published"}
    origins = table.groupby(["model", "centre"])["origin"].unique().map(list).to_dict()
    assert origins == {
        ("cs", "hospital_a"): ["apparent"],
        ("cs", "hospital_c"): ["external"],
        ("csd", "hospital_a"): ["apparent"],
        ("csd", "hospital_c"): ["tuned"],
        ("d", "hospital_a"): ["apparent"],
        ("d", "hospital_c"): ["tuned"],
    }
    areas = found.gap[found.gap["metric"] == "auc"]
    assert areas["patients"].tolist() == ["development", "hospital_c"] * 3
    assert areas["model"].tolist() == ["cs", "cs", "d", "d", "csd", "csd"]
    found.write(here)
    assert {"scores_as_published.csv", "gap.csv", "networks"} == {
        path.name for path in here.path.iterdir()
    }


def test_the_manifests_network_is_trained_here_too(here, tmp_path):
    two = sample_study.manifest(tmp_path, rows_at_one_site=True, network={"members": 2})
    assert as_published.at_one_site(two, here=here, profile="tiny").curve["network"].nunique() == 2


def test_several_validation_centres_stand_together_too(here, one_site):
    verdicts = {"accepted": ["hospital_c", "hospital_d"], "refused": {}}
    results.write_json(verdicts, here.path.parent / "accepted.json")
    found = as_published.at_one_site(one_site, here=here, profile="tiny")
    groups = ["development", "hospital_c", "hospital_d", "validation"]
    areas = found.gap[found.gap["metric"] == "auc"]
    assert areas["patients"].tolist() == groups * 3
    assert areas["n"].tolist() == [20, 20, 20, 40] * 3


def test_each_protocol_has_its_own_threshold_from_development(here, one_site):
    """Youden's, by brute force over all risks: leak-free on its own scores, theirs on the fit."""
    found = as_published.at_one_site(one_site, here=here, profile="tiny")
    leak_free = Scores.read(here.path.parent / "development" / "scores.csv")
    of = found.gap[found.gap["metric"] == "sensitivity"].set_index("model")
    for model in ("cs", "d", "csd"):
        apparent = found.scores.only(model=model, origin="apparent").table
        assert set(of.loc[model, "as_published_threshold"]) == {_youden(apparent)}
        assert set(of.loc[model, "leak_free_threshold"]) == {
            _youden(leak_free.only(model=model).table)
        }


def test_scores_of_a_horizon_are_not_the_paper_s(here, one_site):
    """Risks by 12 months stand in the same files; the paper's event counts whenever it came."""
    beside = as_published.at_one_site(one_site, here=here, profile="tiny").gap
    for centre in ("development", "hospital_c"):
        path = here.path.parent / centre / "scores.csv"
        Scores.read(path).at(None).write(path)
    alone = as_published.at_one_site(one_site, here=here, profile="tiny").gap
    pd.testing.assert_frame_equal(beside, alone)


def test_without_a_factor_the_clinical_model_is_constant_and_the_rest_runs(here, one_site):
    """Where nothing is recorded Model CS ranks nobody: its AUC is one half."""
    for centre in ("development", "hospital_c"):
        path = here.path.parent / centre / "patients.csv"
        table = results.read_table(path).drop(columns="diameter_mm")
        results.write_table(table, path)
    found = as_published.at_one_site(one_site, here=here, profile="tiny")
    areas = found.gap[found.gap["metric"] == "auc"]
    of = areas.set_index(["model", "patients"])["as_published"]
    assert of["cs"].tolist() == [0.5, 0.5]
    assert of["csd"].tolist() == pytest.approx(of["d"].tolist())


def test_without_the_manifest_s_word_nothing_is_opened(here, tmp_path):
    silent_study = sample_study.manifest(tmp_path)
    with pytest.raises(checks.InputError, match="rows_at_one_site: true"):
        as_published.at_one_site(silent_study, here=here, profile="tiny")
    assert not here.path.exists()


def test_the_epoch_is_chosen_on_everyone_and_weights_come_from_development(tmp_path):
    """After one epoch there is nothing to choose: validation pixels change no weight."""
    pixels, slices, patients = study()
    learns = np.arange(len(patients)) < 30
    once = replace(QUICK, epochs=1)
    ensemble, curve = training.tuned(
        pixels, slices, patients, learns, once, tmp_path / "one", progress=silent
    )
    score = training.scores(ensemble, pixels, slices, patients, origin="tuned").table
    assert curve["inner_auc"].iloc[0] == pytest.approx(_auc(score))
    others = ~slices["patient_id"].isin(patients["patient_id"][learns]).to_numpy()
    changed = np.where(others[:, None, None], pixels[::-1], pixels)
    other, _ = training.tuned(
        changed, slices, patients, learns, once, tmp_path / "two", progress=silent
    )
    assert (ensemble.first.dense.weight == other.first.dense.weight).all()


def test_the_leak_free_network_beside_it_is_not_touched(tmp_path):
    """The same folder, the same patients: the tuned network has a name of its own."""
    pixels, slices, patients = study()
    before, _ = training.refit(pixels, slices, patients, QUICK, tmp_path, progress=silent)
    training.tuned(
        pixels, slices, patients, np.ones(len(patients)), QUICK, tmp_path, progress=silent
    )
    lines: list[str] = []
    after, _ = training.refit(pixels, slices, patients, QUICK, tmp_path, progress=lines.append)
    assert not lines, "found again"
    assert (before.first.dense.weight == after.first.dense.weight).all()


def test_scores_of_the_papers_choices_are_refused_where_models_are_developed(here, one_site):
    found = as_published.at_one_site(one_site, here=here, profile="tiny")
    with pytest.raises(checks.InputError, match="'apparent' cannot be used to develop"):
        found.scores.require("out_of_fold", use="develop Model CSD")


def test_folds_are_not_asked_for(here, one_site, monkeypatch):
    """No inner split: every slice of development changes weights."""
    monkeypatch.setattr(folds, "assign", lambda *_, **__: pytest.fail("folds were drawn"))
    as_published.at_one_site(one_site, here=here, profile="tiny")


def _youden(rows: pd.DataFrame) -> float:
    """The lowest of the risks with the most sensitivity plus specificity."""
    event, risk = rows["event"], rows["risk"]
    index = {t: (risk[event] >= t).mean() + (risk[~event] < t).mean() for t in sorted(risk)}
    most = max(index.values())
    return next(t for t, found in index.items() if found > most - 1e-12)


def _auc(score: pd.DataFrame) -> float:
    """By counting pairs."""
    event, risk = score["event"].to_numpy(), score["score"].to_numpy()
    above = risk[event][:, None] - risk[~event][None]
    return float((above > 0).mean() + (above == 0).mean() / 2)
