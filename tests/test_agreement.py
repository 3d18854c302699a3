"""Agreement of readers. R's values: oracles/agreement.json and readers.json, made by their .R."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hcc_utils.checks import InputError
from hcc_utils.evaluation import agreement
from hcc_utils.study import vocabulary

ORACLES = Path(__file__).parent / "oracles"
ORACLE = json.loads((ORACLES / "agreement.json").read_text())
READINGS = pd.read_csv(ORACLES / "agreement_readings.csv")
DIAMETERS = pd.read_csv(ORACLES / "readers.csv")
DIAMETERS_IN_R = json.loads((ORACLES / "readers.json").read_text())
CAPSULE = READINGS[["capsule_r1", "capsule_r2"]]
ORDER = ["absent", "non_intact", "intact"]

SHROUT_AND_FLEISS = [
    [9, 2, 5, 8],
    [6, 1, 3, 2],
    [8, 4, 6, 8],
    [7, 1, 2, 6],
    [10, 5, 6, 9],
    [6, 2, 4, 7],
]


def test_icc_matches_r():
    found = agreement.icc(READINGS[["r1", "r2", "r3"]])
    expected = pd.DataFrame(ORACLE["icc"])
    assert found["kind"].tolist() == expected["kind"].tolist()
    for column in ("icc", "low", "high"):
        np.testing.assert_allclose(found[column], expected[column], rtol=1e-9)


def test_icc_of_shrout_and_fleiss():
    """Their Table 4, as printed: .17, .29 and .71."""
    found = agreement.icc(SHROUT_AND_FLEISS)
    assert found["icc"].round(2).tolist() == [0.17, 0.29, 0.71]


def test_readers_who_differ_by_a_constant_are_consistent_but_do_not_agree():
    """1, 2, 3 and 3, 4, 5: ICC3 1; ICC2 = 2 / (2 + 2 * 6 / 3) = 1/3; ICC1 = (2 - 2) / ... = 0."""
    found = agreement.icc([[1, 3], [2, 4], [3, 5]]).set_index("kind")["icc"]
    assert found["ICC3"] == 1
    assert found["ICC2"] == pytest.approx(1 / 3)
    assert found["ICC1"] == pytest.approx(0)


def test_readers_who_agree_wholly():
    found = agreement.icc([[1, 1], [2, 2], [4, 4]])
    assert (found[["icc", "low", "high"]] == 1).all(axis=None)


def test_one_number_for_everybody_has_no_icc():
    assert agreement.icc([[0.1, 0.1], [0.1, 0.1]])["icc"].isna().all()


def test_patients_alike_and_readers_a_constant_apart():
    """
    0.1 and 0.2 thrice: mean squares of patients 0, of readers n x .05**2 x 2 = .015, of the rest 0.

    ICC1 = -w / ((k - 1) w) = -1; ICC2 = 0 / (2 x .015 / 3) = 0 with 0 degrees of freedom; ICC3
    is 0 / 0. R's psych 2.2.9 gives rounding here: ICC3 1 for 1 and 2, .872 (-.45 to .996) for
    .1 and .2.
    """
    found = agreement.icc([[0.1, 0.2]] * 3).set_index("kind")
    assert found["icc"].tolist() == pytest.approx([-1, 0, np.nan], nan_ok=True)
    assert found.loc["ICC2", ["low", "high"]].isna().all()
    assert found.loc["ICC3", ["low", "high"]].isna().all()


@pytest.mark.parametrize("n", [2, 3])
def test_no_table_of_readings_breaks_the_formulas(n):
    """All tables of 0, 1 and 2, two readers: no warning, and no correlation above 1."""
    for readings in product((0, 1, 2), repeat=2 * n):
        found = agreement.icc(np.reshape(readings, (n, 2)))
        figures = found[["icc", "low", "high"]].to_numpy()
        assert not np.isinf(figures).any()
        assert not (figures > 1).any()


@pytest.mark.parametrize(
    ("weights", "r", "which"),
    [
        pytest.param(None, "linear", "plain", id="plain"),
        pytest.param("linear", "linear", "weighted", id="linear"),
        pytest.param("quadratic", "quadratic", "weighted", id="quadratic"),
    ],
)
def test_kappa_matches_r(weights, r, which):
    found = agreement.kappa(CAPSULE, weights, levels=ORDER)
    np.testing.assert_allclose([found.kappa, found.se], ORACLE[r][which], rtol=1e-9)


def test_kappa_worked_by_hand():
    """Agreed in 3 of 4; by chance 1/2 * 3/4 + 1/2 * 1/4 = 1/2; kappa (3/4 - 1/2) / (1/2)."""
    found = agreement.kappa([[0, 0], [0, 0], [1, 1], [1, 0]])
    assert found.kappa == pytest.approx(0.5)


def test_one_level_for_everybody_has_no_kappa():
    assert np.isnan(agreement.kappa([["A", "A"], ["A", "A"]]).kappa)


def test_the_order_of_levels_matters_only_with_weights():
    other = ["intact", "absent", "non_intact"]
    plain = [agreement.kappa(CAPSULE, levels=order).kappa for order in (ORDER, other)]
    weighted = [agreement.kappa(CAPSULE, "linear", levels=order).kappa for order in (ORDER, other)]
    assert plain[0] == pytest.approx(plain[1])
    assert weighted[0] != pytest.approx(weighted[1])


@pytest.mark.parametrize(
    ("ratings", "given", "message"),
    [
        pytest.param([[1, 2, 3]], {}, "two readers; got 3", id="three readers"),
        pytest.param([[1, None], [1, 1]], {}, "1 of 2 patients lack one", id="missing"),
        pytest.param([["A", "B"]], {"weights": "linear"}, "need an order", id="no order"),
        pytest.param([["A", "B"]], {"levels": ["A"]}, "hold 'B'", id="unknown level"),
        pytest.param([[1, 2]], {"weights": "cubic"}, "linear, quadratic", id="weights"),
    ],
)
def test_bad_kappa_input_is_named(ratings, given, message):
    with pytest.raises(InputError, match=message):
        agreement.kappa(ratings, **given)


@pytest.mark.parametrize(
    ("ratings", "message"),
    [
        pytest.param([[1, 2]], "got 1 and 2", id="one patient"),
        pytest.param([[1], [2]], "got 2 and 1", id="one reader"),
        pytest.param([[1, np.nan], [2, 2]], "reader 1 must hold finite", id="missing"),
    ],
)
def test_bad_icc_input_is_named(ratings, message):
    with pytest.raises(InputError, match=message):
        agreement.icc(ratings)


def test_readers_of_numbers_match_r_on_the_patients_all_have_read():
    found = agreement.readers(DIAMETERS)
    expected = pd.DataFrame(DIAMETERS_IN_R["icc"])
    assert found["statistic"].tolist() == ["icc2", "icc3"]
    assert found["readers"].tolist() == [3, 3]
    np.testing.assert_allclose(found[list(expected)], expected, rtol=1e-9)


def test_limits_of_agreement_match_r_on_the_patients_both_have_read():
    found = agreement.bland_altman(DIAMETERS)
    expected = pd.DataFrame(DIAMETERS_IN_R["limits"])
    assert found["pair"].tolist() == ["r1 - r2", "r1 - r3", "r2 - r3"]
    np.testing.assert_allclose(found[list(expected)], expected, rtol=1e-9)


def test_readers_of_levels_are_compared_by_kappa():
    """Of the flag: agreed in 3 of 4, by chance in 1/2; the capsule's is R's."""
    flag = {"mosaic_r1": [False, False, True, True], "mosaic_r2": [False, False, True, False]}
    both = pd.concat([CAPSULE, pd.DataFrame(flag, dtype="boolean")], axis=1)
    found = agreement.readers(both).set_index("variable")
    assert set(found["statistic"]) == {"kappa"}
    assert found["n"].to_dict() == {"capsule": 40, "mosaic": 4}
    assert found.loc["mosaic", "estimate"] == pytest.approx(0.5)
    assert found.loc["capsule", "estimate"] == pytest.approx(ORACLE["linear"]["plain"][0])


def read_by(monkeypatch, variable, *readers):
    """Let the vocabulary know a variable as each of these readers read it."""
    for reader in readers:
        known = vocabulary.VARIABLES[variable]
        monkeypatch.setitem(vocabulary.VARIABLES, f"{variable}_{reader}", known)


def test_a_near_miss_of_ordered_levels_counts_in_part(monkeypatch):
    """Squared distances: 1/4 on average, 20/16 by chance; kappa 1 - (1/4) / (5/4)."""
    read_by(monkeypatch, "child_pugh", "r1", "r2")
    patients = pd.DataFrame({"child_pugh_r1": [*"AABC"], "child_pugh_r2": [*"ABBC"]})
    row = agreement.readers(patients).iloc[0]
    assert row["statistic"] == "weighted_kappa"
    assert row["estimate"] == pytest.approx(0.8)


def test_three_readers_of_levels_share_one_kappa(monkeypatch):
    """Agreed pairs: 1, 1, 1/3 and 1/3, mean 2/3; half of the 12 readings are yes: chance 1/2."""
    read_by(monkeypatch, "mosaic", "r3")
    yes = {"r1": [1, 0, 1, 1], "r2": [1, 0, 1, 0], "r3": [1, 0, 0, 0]}
    patients = pd.DataFrame({f"mosaic_{reader}": values for reader, values in yes.items()})
    row = agreement.readers(patients.astype(bool).astype("boolean")).iloc[0]
    assert (row["statistic"], row["readers"]) == ("fleiss_kappa", 3)
    assert row["estimate"] == pytest.approx(1 / 3)
    assert np.isnan(row["low"])


def test_limits_worked_by_hand():
    """Differences -1, 1, 3: bias 1, SD 2, limits 1 -/+ 3.92; t is 4.3027, 2 / sqrt(3) 1.1547."""
    patients = pd.DataFrame({"recist_mm_r1": [9, 11, 13], "recist_mm_r2": [10, 10, 10]})
    row = agreement.bland_altman(patients).iloc[0]
    assert row[["bias", "sd"]].tolist() == [1, 2]
    assert row[["lower", "upper"]].tolist() == pytest.approx([-2.92, 4.92])
    assert row["bias_high"] - row["bias"] == pytest.approx(4.3027 * 1.1547, rel=1e-4)


def test_differences_stand_in_the_order_of_their_means():
    patients = pd.DataFrame({"recist_mm_r1": [30, 10, None], "recist_mm_r2": [20, 12, 5]})
    found = agreement.differences(patients.assign(patient_id=["p", "q", "r"]))
    assert found.to_numpy().tolist() == [
        ["recist_mm", "r1 - r2", 11, -2], ["recist_mm", "r1 - r2", 25, 10]
    ]  # fmt: skip


@pytest.mark.parametrize(
    "patients",
    [
        pytest.param({"patient_id": ["p", "q"]}, id="no reading"),
        pytest.param({"recist_mm_r1": [1.0, 2.0]}, id="one reader"),
        pytest.param(
            {"enhancement_ratio_r1": [1.0], "enhancement_ratio_adjudicated": [1.0]},
            id="adjudicated",
        ),
        pytest.param({"recist_mm_r1": [1.0], "recist_mm_r2": [None]}, id="nothing read"),
    ],
)
def test_one_reader_alone_agrees_with_nobody(patients):
    for table in (agreement.readers, agreement.bland_altman, agreement.differences):
        found = table(pd.DataFrame(patients))
        assert found.empty
        assert {"variable"} < set(found)


def test_readers_who_share_no_patient_have_no_estimate():
    apart = pd.DataFrame({"recist_mm_r1": [1.0, np.nan], "recist_mm_r2": [np.nan, 2.0]})
    assert agreement.readers(apart)[["estimate", "low", "high"]].isna().all(axis=None)
    limits = agreement.bland_altman(apart)
    assert limits["n"].tolist() == [0]
    assert limits["bias"].isna().all()


def test_rank_correlation_matches_r():
    theirs = json.loads((ORACLES / "rank_correlation.json").read_text())
    found = agreement.rank_correlation(pd.DataFrame({k: theirs[k] for k in ("child_pugh", "bclc")}))
    assert found.n == 60
    assert found.rho == pytest.approx(theirs["rho"], rel=1e-9)
    assert found.p_value == pytest.approx(theirs["p_value"], rel=1e-9)


@pytest.mark.parametrize(
    ("classes", "n"),
    [({"child_pugh": ["A", "B"], "bclc": ["A", "B"]}, 2), ({"child_pugh": ["A"] * 3}, 0),
     ({"child_pugh": ["A"] * 4, "bclc": ["A", "B", "A", None]}, 3)],
    ids=["two patients", "not recorded", "one class"],
)  # fmt: skip
def test_where_ranks_say_nothing_no_correlation_is_given(classes, n):
    found = agreement.rank_correlation(pd.DataFrame(classes))
    assert found.n == n
    assert np.isnan(found.rho)
    assert np.isnan(found.p_value)


def readings(*rows):
    return pd.DataFrame(rows, columns=["r1", "r2", "adjudicated"])


def test_levels_are_settled_by_two_of_three():
    """Agreed; the third with the second; all three differ; disputed without a third."""
    found = agreement.settled(
        readings(
            ("absent", "absent", None),
            ("absent", "intact", "intact"),
            ("absent", "intact", "non_intact"),
            ("absent", "intact", None),
        ),
        vocabulary.VARIABLES["capsule"],
    )
    assert found.where(found.notna(), None).tolist() == ["absent", "intact", None, None]


def test_numbers_are_settled_by_the_mean_of_those_that_are_near():
    """1.0 and 1.1 differ by .1, at most a tenth of 1.05: no, .1 > .105 is false: mean 1.05.
    1.0 and 1.5 do not; with 1.4 the nearest are 1.4 and 1.5: 1.45; without a third none."""
    rows = readings((1.0, 1.1, np.nan), (1.0, 1.5, 1.4), (1.0, 1.5, np.nan))
    found = agreement.settled(rows, vocabulary.VARIABLES["enhancement_ratio"])
    np.testing.assert_allclose(found, [1.05, 1.45, np.nan])


def test_adjudication_is_counted_factor_by_factor():
    """Of four read by both two are disputed, one by all three; a row holds what none settled."""
    patients = pd.DataFrame(
        {
            "capsule_r1": ["absent", "absent", "intact", "intact", None],
            "capsule_r2": ["absent", "intact", "absent", "intact", "absent"],
            "capsule_adjudicated": [None, "intact", "non_intact", None, None],
            "capsule": ["absent", "intact", "non_intact", "absent", "absent"],
        }
    )
    assert agreement.adjudication(patients).to_dict("records") == [
        {"variable": "capsule", "n": 4, "disputed": 2, "third": 2, "open": 1, "differs": 1}
    ]


def test_two_readers_without_a_third_leave_what_they_dispute_open():
    patients = pd.DataFrame({"mosaic_r1": [True, False], "mosaic_r2": [True, True]})
    (row,) = agreement.adjudication(patients.astype("boolean")).to_dict("records")
    assert (row["disputed"], row["third"], row["open"], row["differs"]) == (1, 0, 1, 0)
