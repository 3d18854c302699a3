"""Exports and their pooling. R's values: oracles/pooling.json, made by pooling.R (metafor)."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hcc_utils.centres import pooling
from hcc_utils.centres.export import export
from hcc_utils.checks import InputError
from hcc_utils.evaluation import comparison
from hcc_utils.evaluation.discrimination import auc
from hcc_utils.study import results
from hcc_utils.study.scores import Scores

SETS = json.loads((Path(__file__).parent / "oracles" / "pooling.json").read_text())["sets"]


def metrics_of(centre: str, seed: int, n: int = 40, events: int = 14) -> pd.DataFrame:
    """A centre's metrics.csv, as notebook 04 makes it."""
    rng = np.random.default_rng(seed)
    event = np.arange(n) < events
    names = [f"{centre}-{i}" for i in range(n)]
    patients = pd.DataFrame({"patient_id": names, "centre": centre, "event": event})
    score = 0.9 * event + rng.normal(-0.5, 1, n)
    risk = 1 / (1 + np.exp(-score))
    given = {"model": "csd", "origin": "external", "event": "event"}
    return comparison.compare(Scores.of(patients, score=score, risk=risk, **given))


def exports(*centres: str) -> list[dict]:
    """A few centres' exports."""
    return [export(centre, metrics_of(centre, seed)) for seed, centre in enumerate(centres)]


def one(auc_value: float | None, se: float | None, centre: str, note: str = "") -> dict:
    """An export of one AUC."""
    figure = {"model": "cs", "metric": "auc", "estimate": auc_value, "low": None, "high": None}
    figure |= {"scale": "logit", "se": se, "n": 30, "events": 9, "note": note}
    return {"format": 1, "centre": centre, "protocol": "leak_free", "figures": [figure]}


@pytest.mark.parametrize("name", SETS)
def test_random_effects_match_metafor(name):
    r = SETS[name]
    found = pooling.random_effects(np.array(r["y"]), np.array(r["se"]))
    assert found.between == pytest.approx(r["between"], abs=1e-9)
    np.testing.assert_allclose([found.mean, found.se], [r["mean"], r["se_mean"]], rtol=1e-9)
    np.testing.assert_allclose(found.interval()[1:], [r["low"], r["high"]], rtol=1e-8)
    np.testing.assert_allclose(found.weights, r["weights"], rtol=1e-8)


@pytest.mark.parametrize("name", ["apart", "alike", "some"])
def test_the_next_centres_interval_matches_metafor(name):
    r = SETS[name]
    found = pooling.random_effects(np.array(r["y"]), np.array(r["se"]))
    np.testing.assert_allclose(
        found.interval(of_next=True)[1:], [r["next_low"], r["next_high"]], rtol=1e-8
    )


def test_like_centres_of_like_size_worked_by_hand():
    """Logits 1, 1, 1 with se .3: mean 1, se .3 / sqrt 3, no variance between, t(2) = 4.3027."""
    same = 1 / (1 + np.exp(-1))
    table = pooling.pool([one(same, 0.3, f"hospital_{c}") for c in "cde"])
    rows = table.set_index("centre")
    reach = 4.302653 * 0.3 / np.sqrt(3)
    assert rows.loc["pooled", "estimate"] == pytest.approx(same)
    assert rows.loc["pooled", "low"] == pytest.approx(1 / (1 + np.exp(-(1 - reach))), abs=1e-6)
    assert rows.loc["next centre", "low"] == pytest.approx(rows.loc["pooled", "low"])
    assert rows["weight"].head(3).tolist() == pytest.approx([1 / 3] * 3)
    assert rows.loc["pooled", ["n", "events"]].tolist() == [90, 27]


def test_export_keeps_delongs_logit_standard_error():
    """se of the logit = se of the AUC / (AUC (1 - AUC)), taken back from the printed interval."""
    metrics = metrics_of("hospital_c", 1)
    figure = export("hospital_c", metrics)["figures"][0]
    rng = np.random.default_rng(1)
    event = np.arange(40) < 14
    area = auc(event, 0.9 * event + rng.normal(-0.5, 1, 40))
    assert figure["metric"] == "auc"
    assert figure["se"] == pytest.approx(area.se / (area.auc * (1 - area.auc)))


def test_export_is_the_same_from_the_file(tmp_path):
    metrics = metrics_of("hospital_c", 1)
    results.write_table(metrics, tmp_path / "metrics.csv")
    again = export("hospital_c", results.read_table(tmp_path / "metrics.csv"))
    assert again == export("hospital_c", metrics)


def test_export_holds_no_patient():
    content = json.dumps(exports("hospital_c")[0])
    assert "patient" not in content
    assert "hospital_c-" not in content


def test_export_refuses_patients_rows():
    metrics = metrics_of("hospital_c", 1).assign(patient_id="p1")
    with pytest.raises(InputError, match=r"aggregates alone.*patient_id"):
        export("hospital_c", metrics)


def test_export_refuses_a_centre_that_developed():
    metrics = metrics_of("hospital_a", 1).assign(origin="out_of_fold")
    with pytest.raises(InputError, match="helped to develop"):
        export("hospital_a", metrics)


def test_each_centre_then_the_mean_then_the_next():
    table = pooling.pool(exports("hospital_c", "hospital_d", "hospital_e"))
    assert tuple(table.columns) == pooling.COLUMNS
    shown = table.loc[table["metric"] == "auc", "centre"].tolist()
    assert shown == ["hospital_c", "hospital_d", "hospital_e", "pooled", "next centre"]
    assert set(table["metric"]) == {"auc", "calibration_intercept", "calibration_slope"}


def test_few_events_are_flagged_and_kept():
    few = export("hospital_c", metrics_of("hospital_c", 1, events=5))
    table = pooling.pool([few, *exports("hospital_d", "hospital_e")])
    row = table[(table["metric"] == "auc") & (table["centre"] == "hospital_c")].iloc[0]
    assert "too_few_events" in row["note"]
    assert row["weight"] > 0


def test_one_class_is_listed_and_not_pooled():
    single = export("hospital_c", metrics_of("hospital_c", 1, events=0))
    table = pooling.pool([single, *exports("hospital_d", "hospital_e")])
    row = table[(table["metric"] == "auc") & (table["centre"] == "hospital_c")].iloc[0]
    assert row["note"] == "one_class; not_pooled"
    assert np.isnan(row["weight"])
    assert np.isnan(row["estimate"])


def test_a_perfect_auc_is_shown_and_not_pooled():
    """Its logit is infinite."""
    event = np.arange(12) < 3
    patients = pd.DataFrame({"patient_id": [*map(str, range(12))], "centre": "c", "event": event})
    given = {"model": "csd", "origin": "external", "event": "event"}
    scores = Scores.of(patients, score=event * 1.0, risk=0.2 + 0.5 * event, **given)
    table = pooling.pool([export("c", comparison.compare(scores)), *exports("d", "e")])
    row = table[(table["metric"] == "auc") & (table["centre"] == "c")].iloc[0]
    assert row["estimate"] == 1
    assert "not_pooled" in row["note"]


def test_two_centres_have_a_mean_and_no_prediction():
    rows = pooling.pool([one(0.7, 0.3, "c"), one(0.8, 0.3, "d")]).set_index("centre")
    assert 0.7 < rows.loc["pooled", "estimate"] < 0.8
    assert rows.loc["next centre", ["low", "high"]].isna().all()
    assert rows.loc["pooled", "note"] == "fewer_than_3_centres"


def test_one_centre_is_not_pooled():
    rows = pooling.pool([one(0.7, 0.3, "c")]).set_index("centre")
    assert rows.loc["c", "estimate"] == 0.7
    assert np.isnan(rows.loc["pooled", "estimate"])
    assert rows.loc["pooled", "note"] == "one_centre_only"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        pytest.param([], "at least one centre", id="none"),
        pytest.param([one(0.7, 0.3, "c")] * 2, "c stands several", id="twice"),
        pytest.param([one(0.7, 0.3, "c") | {"format": 0}], "format 1", id="format"),
        pytest.param(
            [one(0.7, 0.3, "c"), one(0.7, 0.3, "d") | {"protocol": "as_published"}],
            "one protocol; got as_published, leak_free",
            id="protocols",
        ),
    ],
)
def test_exports_that_do_not_belong_together_are_refused(given, message):
    with pytest.raises(InputError, match=message):
        pooling.pool(given)


def test_only_accepted_centres_are_read(tmp_path):
    """An old export of a refused centre lies there and stays unread."""
    results.write_json({"accepted": ["c", "e"], "refused": {}}, tmp_path / "accepted.json")
    for centre in "cde":
        results.write_json(one(0.7, 0.3, centre), tmp_path / centre / "export.json")
    assert [e["centre"] for e in pooling.read_exports(tmp_path)] == ["c", "e"]


def test_a_missing_export_names_the_notebook(tmp_path):
    results.write_json({"accepted": ["c"], "refused": {}}, tmp_path / "accepted.json")
    with pytest.raises(InputError, match=r"no export.json of c .*06_survival"):
        pooling.read_exports(tmp_path)


@pytest.mark.parametrize(
    ("centres", "words"),
    [
        pytest.param("c", "nothing is pooled", id="one"),
        pytest.param("cd", "nothing is said of the next one", id="two"),
        pytest.param("cde", "27 events; the next centre may see 0.", id="three"),
    ],
)
def test_the_sentence_says_what_can_be_said(centres, words):
    table = pooling.pool([one(0.7, 0.3, centre) for centre in centres])
    assert words in pooling.sentence(table)
