"""The demo's patients: the paper's margins, a known truth, and tables that can be read back."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from hcc_utils.checks import InputError
from hcc_utils.demo import baseline, hospitals, patients, readings, study, truth
from hcc_utils.study import cohort, published, tables
from hcc_utils.study.manifest import Manifest

ROLES = ("development", "validation")
SEEDS = range(20)


def eligible(count=332, seed=patients.SEED, free=False):
    """The patients whom the paper's rules keep, the truth beside them, and their role."""
    table, known = patients.make(count, seed, free=free)
    kept, _ = cohort.eligible(table)
    known = known.drop(columns=["centre", "bclc"]).rename(columns={"event": "true_event"})
    merged = kept.merge(known, on="patient_id", validate="one_to_one")
    merged["role"] = merged["centre"].map(lambda name: hospitals.HOSPITALS[name].role)
    return merged


@pytest.fixture(scope="module")
def everyone():
    return patients.make()


@pytest.fixture(scope="module")
def demo():
    return eligible()


@pytest.fixture(scope="module")
def many():
    return [eligible(seed=seed) for seed in SEEDS]


@pytest.fixture(scope="module")
def out(tmp_path_factory, everyone):
    """The folder of a demo study, without its images."""
    folder = tmp_path_factory.mktemp("demo")
    hospitals.write(folder, *everyone)
    (folder / "data_manifest.yaml").write_text(study.manifest_text("."), "utf-8")
    return folder


def auc(event, score):
    """P(score of an event > score of a non-event), ties half."""
    event, score = np.asarray(event, dtype=bool), np.asarray(score, dtype=float)
    statistic = stats.mannwhitneyu(score[event], score[~event]).statistic
    return statistic / (event.sum() * (~event).sum())


def icc(first, second):
    """ICC2 of two readers, Shrout and Fleiss (1979): (B - E) / (B + E + 2 (J - E) / n)."""
    ratings = np.column_stack([first, second]).astype(float)
    n, mean = len(ratings), ratings.mean()
    between = 2 * ((ratings.mean(axis=1) - mean) ** 2).sum() / (n - 1)
    judges = n * ((ratings.mean(axis=0) - mean) ** 2).sum()
    residual = ratings - ratings.mean(axis=1, keepdims=True) - ratings.mean(axis=0) + mean
    error = (residual**2).sum() / (n - 1)
    return (between - error) / (between + error + 2 * (judges - error) / n)


# Table 1 of the paper, training and validation, copied from its printed counts.
TABLE_ONE = {
    "sex": ({"male": 197, "female": 39}, {"male": 83, "female": 13}),
    "treatment": ({"resection": 153, "tace": 83}, {"resection": 63, "tace": 33}),
    "hbv": ({False: 10, True: 226}, {False: 3, True: 93}),
    "cirrhosis": ({False: 99, True: 137}, {False: 42, True: 54}),
    "child_pugh": ({"A": 200, "B": 36}, {"A": 85, "B": 11}),
    "bclc": ({"0": 23, "A": 53, "AB": 94, "B": 66}, {"0": 13, "A": 29, "AB": 32, "B": 22}),
    "lesion_band": ({"1": 162, "2": 31, "3": 19, ">3": 24}, {"1": 66, "2": 16, "3": 8, ">3": 6}),
    "afp_band": ({"<25": 89, "25-400": 70, ">400": 77}, {"<25": 50, "25-400": 17, ">400": 29}),
}


class TestMarginsOfThePaper:
    @pytest.mark.parametrize("name", TABLE_ONE)
    @pytest.mark.parametrize("group", [0, 1], ids=ROLES)
    def test_counts_are_those_of_table_one(self, demo, name, group):
        here = cohort.with_bands(demo[demo["role"] == ROLES[group]])
        assert here[name].value_counts().to_dict() == TABLE_ONE[name][group]

    @pytest.mark.parametrize(
        ("role", "mean", "sd"), [("development", 55.12, 11.83), ("validation", 55.92, 12.28)]
    )
    def test_age_is_that_of_table_one(self, demo, role, mean, sd):
        """Ages have one decimal, so that mean and SD come within a hundredth."""
        age = demo.loc[demo["role"] == role, "age_years"]
        assert age.mean() == pytest.approx(mean, abs=0.01)
        assert age.std() == pytest.approx(sd, abs=0.01)

    @pytest.mark.parametrize(
        ("role", "median", "low", "high"),
        [("development", 60.65, 10, 210), ("validation", 51.50, 7, 171)],
    )
    def test_diameter_is_that_of_table_one(self, demo, role, median, low, high):
        size = demo.loc[demo["role"] == role, "diameter_mm"]
        assert (size.min(), size.max()) == (low, high)
        assert size.median() == pytest.approx(median, abs=1e-12)

    @pytest.mark.parametrize(
        ("role", "a", "b"), [("development", (45, 8), (42, 24)), ("validation", (21, 8), (16, 6))]
    )
    def test_stage_and_number_fit_together(self, demo, role, a, b):
        """
        Training: 162 single lesions less 23 in stage 0 and 94 in AB leave 45 in A, of 53; the 24
        with more than three are B, of 66. Validation: 66 - 13 - 32 = 21 of 29; 6 of 22.
        """
        here = demo[demo["role"] == role]
        single = here["lesion_count"] == 1
        many = here["lesion_count"] > 3
        in_a, in_b = here["bclc"] == "A", here["bclc"] == "B"
        assert ((in_a & single).sum(), (in_a & ~single).sum()) == a
        assert ((in_b & ~many).sum(), (in_b & many).sum()) == b

    def test_stage_follows_from_size_and_number(self, demo):
        assert (cohort.bclc_from_factors(demo) == demo["bclc"]).all()

    @pytest.mark.parametrize(
        ("role", "events"), [("development", (4, 14, 39, 26)), ("validation", (1, 3, 8, 10))]
    )
    def test_events_by_stage_are_the_papers(self, demo, role, events):
        here = demo[demo["role"] == role].groupby("bclc")["aggressive_pd"].sum()
        assert tuple(here[["0", "A", "AB", "B"]]) == events

    @pytest.mark.parametrize(
        ("role", "kinds"), [("development", (14, 54, 15)), ("validation", (3, 11, 8))]
    )
    def test_events_by_kind_are_the_papers(self, demo, role, kinds):
        """Macrovascular invasion alone, metastasis alone, both."""
        here = demo[demo["role"] == role]
        vessel, far = here["macrovascular_invasion"], here["extrahepatic_metastasis"]
        assert ((vessel & ~far).sum(), (far & ~vessel).sum(), (vessel & far).sum()) == kinds

    def test_margins_hold_whatever_the_seed(self, many):
        for one in many:
            here = cohort.with_bands(one[one["role"] == "development"])
            for name, (counts, _) in TABLE_ONE.items():
                assert here[name].value_counts().to_dict() == counts
            assert (cohort.bclc_from_factors(one) == one["bclc"]).all()

    def test_three_in_a_hundred_ratios_are_missing(self, demo):
        """.03 x 236 = 7.08 and .03 x 96 = 2.88."""
        missing = demo["neutrophil_to_lymphocyte"].isna().groupby(demo["role"]).sum()
        assert missing.to_dict() == {"development": 7, "validation": 3}


class TestExcludedPatients:
    def test_the_papers_rules_leave_236_and_96(self, demo):
        assert demo["role"].value_counts().to_dict() == {"development": 236, "validation": 96}

    def test_every_excluded_patient_leaves_for_its_own_reason(self, everyone):
        step = {
            "no CT": "ct_at_diagnosis",
            "spread at baseline": "no_spread",
            "positive margin": "negative_margin",
            "another cancer": "no_other_cancer",
            "irregular follow-up": "regular_follow_up",
            "short follow-up": "a_year_of_follow_up",
        }
        table, known = everyone
        _, flow = cohort.eligible(table)
        planned = known["excluded_for"].map(step).dropna().value_counts().to_dict()
        found = flow.groupby("step")["excluded"].sum()
        assert found[found > 0].to_dict() == planned
        assert set(planned) == set(step.values())

    def test_only_those_without_ct_lack_what_ct_shows(self, everyone):
        table, known = everyone
        without = known["excluded_for"] == "no CT"
        assert (~table["has_ct"]).tolist() == without.tolist()
        assert table["capsule"].isna().tolist() == without.tolist()


class TestTruth:
    def test_oracle_is_as_it_was_set(self, demo):
        assert 0.86 <= auc(demo["aggressive_pd"], demo["linear_predictor"]) <= 0.90

    def test_oracle_is_as_it_was_set_over_seeds(self, many):
        found = [auc(one["aggressive_pd"], one["linear_predictor"]) for one in many]
        assert np.mean(found) == pytest.approx(0.88, abs=0.02)

    def test_published_score_is_not_the_oracle(self, many):
        for one in many:
            score = published.MODEL_CS_INTERCEPT + sum(
                weight * _term(one, name) for name, weight in published.MODEL_CS_TERMS.items()
            )
            oracle = auc(one["aggressive_pd"], one["linear_predictor"])
            assert auc(one["aggressive_pd"], score) < oracle

    def test_clinical_part_by_hand(self):
        """
        120 mm is one doubling above 60: .4; cirrhosis .8; fusion .8; no nodule in nodule; a
        capsule that is not intact -.7. Sum 1.3. At 30 mm with an intact capsule: -.4 - 1.2.
        """
        two = pd.DataFrame(
            {
                "diameter_mm": [120.0, 30.0],
                "cirrhosis": [True, False],
                "fusion_lesion": [True, False],
                "nodule_in_nodule": [False, False],
                "capsule": ["non_intact", "intact"],
            }
        )
        assert truth.clinical_part(two) == pytest.approx([1.3, -1.6])

    def test_linear_predictor_is_the_sum_of_its_parts(self, demo):
        parts = demo["intercept"] + demo["clinical_part"] + 1.7 * demo["image_latent"]
        assert demo["linear_predictor"].to_numpy() == pytest.approx(parts.to_numpy())
        risk = 1 / (1 + np.exp(-demo["linear_predictor"]))
        assert demo["risk_true"].to_numpy() == pytest.approx(risk.to_numpy())
        assert truth.clinical_part(demo) == pytest.approx(demo["clinical_part"].to_numpy())

    def test_risks_expect_the_events_of_each_stage(self, demo):
        sums = demo.groupby(["role", "bclc"])[["risk_true", "aggressive_pd"]].sum().astype(float)
        assert sums["risk_true"].tolist() == pytest.approx(sums["aggressive_pd"].tolist())

    def test_event_in_truth_is_the_tables(self, demo):
        assert (demo["true_event"] == demo["aggressive_pd"]).all()

    def test_no_factor_loads_above_15_on_the_image(self):
        assert baseline.LOADINGS["image"].abs().max() <= 0.15

    def test_image_is_nearly_independent_of_the_table(self, many):
        """The standard error of a correlation's mean over 20 samples of 332 is .012."""
        pooled = pd.concat(many)
        coded = pooled.assign(
            capsule=pooled["capsule"].map({"absent": 0, "non_intact": 1}).fillna(2)
        )
        columns = [*baseline.LOADINGS.index, "diameter_mm", "cirrhosis", "afp_ng_ml", "age_years"]
        found = coded[columns].astype(float).corrwith(coded["image_latent"].astype(float)).abs()
        assert found.max() <= 0.15 + 3 * 0.012

    def test_image_latent_is_standard_normal(self, many):
        pooled = pd.concat(many)["image_latent"]
        assert pooled.mean() == pytest.approx(0, abs=4 / np.sqrt(len(pooled)))
        assert pooled.std() == pytest.approx(1, abs=4 / np.sqrt(2 * len(pooled)))

    def test_factors_are_correlated_as_stated(self):
        """The standard error of a correlation among 40 000 is at most .005."""
        rng = np.random.default_rng(1)
        invasiveness, size, image = rng.standard_normal((3, 40_000))
        found = baseline.latents(invasiveness, size, image, rng).corr()
        assert found.to_numpy() == pytest.approx(baseline.CORRELATION.to_numpy(), abs=0.025)

    def test_a_stated_correlation_by_hand(self):
        """Fusion and shape: .45 x .60 + .30 x .25 + .10 x .15 = .36."""
        assert baseline.CORRELATION.loc["fusion_lesion", "invasive_shape"] == pytest.approx(0.36)


class TestDraws:
    def test_sets_have_the_probability_of_their_odds(self):
        """Two of four with odds 1, 2, 3, 4: the set {i, j} has odds i x j, 35 over all six."""
        rng = np.random.default_rng(3)
        draws = 4000
        found = dict.fromkeys(combinations(range(4), 2), 0)
        for _ in range(draws):
            found[tuple(np.flatnonzero(truth.exactly(2, np.log([1.0, 2, 3, 4]), rng)))] += 1
        for (i, j), count in found.items():
            share = (i + 1) * (j + 1) / 35
            error = np.sqrt(share * (1 - share) / draws)
            assert count / draws == pytest.approx(share, abs=4 * error)

    @pytest.mark.parametrize("count", [0, 1, 4, 5])
    def test_the_count_is_exact(self, count):
        drawn = truth.exactly(count, np.array([-40.0, -1, 0, 1, 40]), np.random.default_rng(0))
        assert drawn.sum() == count

    def test_free_draws_vary_around_the_papers_events(self):
        """105 events are expected; their SD is at most the root of 332 x .316 x .684 = 8.5."""
        events = [int(eligible(seed=seed, free=True)["aggressive_pd"].sum()) for seed in range(8)]
        assert len(set(events)) > 3
        assert np.mean(events) == pytest.approx(105, abs=4 * 8.5 / np.sqrt(len(events)))

    def test_equal_seeds_give_equal_patients(self, everyone):
        again = patients.make()
        for first, second in zip(everyone, again, strict=True):
            pd.testing.assert_frame_equal(first, second)

    def test_another_seed_gives_other_patients(self, everyone):
        other, _ = patients.make(seed=1)
        assert not np.allclose(other["diameter_mm"], everyone[0]["diameter_mm"])

    def test_too_few_patients_are_refused(self):
        with pytest.raises(InputError, match=r"needs 60 patients or more.*got 59"):
            patients.make(59)

    @pytest.mark.parametrize("count", [61, 100, 500])
    def test_any_larger_number_stays_in_the_study(self, count):
        table = eligible(count)
        assert len(table) == count
        assert table.groupby("centre")["aggressive_pd"].sum().min() >= 1


class TestTimes:
    KINDS = ("extrahepatic_metastasis", "macrovascular_invasion")

    def test_nothing_lies_beyond_death_or_the_last_contact(self, everyone):
        table, _ = everyone
        for name in ("aggressive_pd", *self.KINDS):
            assert (table[f"months_to_{name}"] <= table["months_to_death"]).all()
        assert (table["months_to_aggressive_pd"] > 0).all()

    def test_aggressive_progression_is_the_first_of_either_kind(self, everyone):
        table, _ = everyone
        kinds = [table[f"months_to_{name}"].where(table[name]) for name in self.KINDS]
        first = pd.concat(kinds, axis=1).min(axis=1)
        event = table["aggressive_pd"]
        assert (event == (table[self.KINDS[0]] | table[self.KINDS[1]])).all()
        assert (first[event] == table.loc[event, "months_to_aggressive_pd"]).all()

    def test_without_it_all_times_run_to_the_last_visit(self, everyone):
        table, _ = everyone
        free = table[~table["aggressive_pd"]]
        for name in self.KINDS:
            assert (free[f"months_to_{name}"] == free["months_to_aggressive_pd"]).all()

    def test_the_eligible_without_it_were_followed_for_a_year_or_died(self, demo):
        free = demo[~demo["aggressive_pd"]]
        assert (free["death"] | (free["months_to_aggressive_pd"] >= 12)).all()

    def test_death_competes_and_follow_up_is_lost(self, demo):
        """Without either, a study of competing risks would have nothing to show."""
        free = demo[~demo["aggressive_pd"]]
        assert 0.1 < free["death"].mean() < 0.6
        assert (free.loc[~free["death"], "months_to_death"] < 37).sum() > 10

    def test_higher_risk_comes_earlier(self, many):
        pooled = pd.concat(many)
        events = pooled[pooled["aggressive_pd"]]
        found = stats.spearmanr(events["linear_predictor"], events["months_to_aggressive_pd"])
        assert found.statistic < -0.1


class TestReaders:
    @pytest.mark.parametrize("role", ROLES)
    @pytest.mark.parametrize("name", readings.AGREEMENT)
    def test_agreement_is_as_in_the_paper(self, demo, name, role):
        """The paper: .892 to .986."""
        here = demo[demo["role"] == role]
        codes = {"absent": 0, "non_intact": 1, "intact": 2}
        first, second = (
            here[f"{name}_{reader}"].map(codes) if name == "capsule" else here[f"{name}_{reader}"]
            for reader in ("r1", "r2")
        )
        assert 0.89 <= icc(first.astype(float), second.astype(float)) <= 0.99

    @pytest.mark.parametrize("name", sorted(set(readings.AGREEMENT) - {"enhancement_ratio"}))
    def test_two_of_three_decide_where_two_disagree(self, demo, name):
        first, second, third = (demo[f"{name}_{r}"] for r in ("r1", "r2", "adjudicated"))
        agreed = first == second
        assert third.isna().tolist() == agreed.tolist()
        assert (demo.loc[agreed, name] == first[agreed]).all()
        assert (demo.loc[~agreed, name] == third[~agreed]).all()
        assert ((third == first) | (third == second))[~agreed].all()

    def test_ratio_is_the_mean_of_two_readings(self, demo):
        agreed = demo[demo["enhancement_ratio_adjudicated"].isna()]
        mean = (agreed["enhancement_ratio_r1"] + agreed["enhancement_ratio_r2"]) / 2
        assert agreed["enhancement_ratio"].to_numpy() == pytest.approx(mean.to_numpy(), abs=1e-9)
        assert 0 < demo["enhancement_ratio_adjudicated"].notna().sum() < 33

    def test_only_a_broken_capsule_is_broken_through(self, demo):
        assert set(demo.loc[demo["capsule_breakthrough"], "capsule"]) == {"non_intact"}


class TestTiny:
    @pytest.mark.parametrize("seed", [patients.SEED, *range(10)])
    def test_sixty_patients_with_enough_events(self, seed):
        tiny = eligible(60, seed)
        by_role = tiny.groupby("role")["aggressive_pd"].agg(["size", "sum"])
        assert by_role["size"].to_dict() == {"development": 36, "validation": 24}
        assert by_role.loc["development", "sum"] >= 12
        at = tiny[tiny["role"] == "validation"].groupby("centre")["aggressive_pd"]
        assert at.size().tolist() == [8, 8, 8]
        assert at.sum().min() >= 2

    def test_proportions_are_the_papers(self):
        """Of 36: 36 x 153 / 236 = 23.3 resections, 36 x 94 / 236 = 14.3 in AB."""
        tiny = eligible(60)
        tiny = tiny[tiny["role"] == "development"]
        assert (tiny["treatment"] == "resection").sum() == 23
        assert (tiny["bclc"] == "AB").sum() == 14


class TestTablesOfTheHospitals:
    @pytest.mark.parametrize("name", hospitals.HOSPITALS)
    def test_codebook_leads_back(self, out, everyone, name):
        """Centimetres times ten may differ from millimetres in a double's last bit."""
        table, _ = everyone
        own = table[table["centre"] == name].reset_index(drop=True)
        read = tables.read(Manifest.read(out / "data_manifest.yaml"), name)
        pd.testing.assert_frame_equal(read, own, check_exact=False, rtol=1e-14)

    def test_no_two_hospitals_speak_alike(self, out):
        headers = [set(pd.read_csv(out / name / "patients.csv")) for name in hospitals.HOSPITALS]
        for first, second in combinations(headers, 2):
            assert len(first & second) < len(first) / 4

    def test_sizes_are_in_centimetres_at_one(self, out, everyone):
        own = pd.read_csv(out / "hospital_a" / "patients.csv")
        table = everyone[0].set_index("patient_id")
        first = own.iloc[0]
        assert first["Size_cm"] * 10 == pytest.approx(table.loc[first["PatNo"], "diameter_mm"])

    def test_truth_is_written_to_the_digit(self, out, everyone):
        read = pd.read_csv(
            out / "truth.csv",
            dtype={"bclc": str},
            keep_default_na=False,
            float_precision="round_trip",
        )
        pd.testing.assert_frame_equal(read, everyone[1], check_exact=True)


def _term(table: pd.DataFrame, name: str) -> np.ndarray:
    """A predictor of the published score, as a number."""
    if name.startswith("capsule["):
        return (table["capsule"] == name[len("capsule[") : -1]).to_numpy(float)
    return table[name].to_numpy(float)


def test_the_repositorys_manifest_is_the_demos():
    committed = Path(__file__).parents[1] / "data_manifest.yaml"
    assert committed.read_text("utf-8") == study.manifest_text("data/demo")


def test_a_folder_of_someone_elses_is_left_alone(tmp_path):
    own = tmp_path / "hospital_a" / "patients.csv"
    own.parent.mkdir()
    own.write_text("PatNo\n1\n")
    with pytest.raises(InputError, match=r"holds hospital_a, which no demo made there"):
        study.make(tmp_path, 60)
    assert own.read_text() == "PatNo\n1\n"
