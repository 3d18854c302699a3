"""Figures show what the table says, name their axes with units, and say their numbers in words."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from hcc_utils import checks
from hcc_utils.presentation import figures

BOXES = pd.DataFrame(
    {
        "step": [0, 1, 1, 2],
        "title": ["Development", "Model CS", "Model D", "Validation"],
        "words": ["Hospital A", "factors", "a network", "Hospital C"],
    }
)
FLOW = pd.DataFrame(
    {
        "centre": ["hospital_c"] * 4,
        "step": ["screened", "has_ct", "other_cancer", "margin"],
        "reason": ["screened", "no CT at the time of diagnosis", "another cancer", "no margin"],
        "excluded": [0, 5, 3, 0],
        "remaining": [104, 99, 96, 96],
    }
)
ROC = pd.DataFrame(
    {
        "model": ["cs"] * 3 + ["csd"] * 3,
        "origin": "external",
        "threshold": [1.1, 0.5, 0.0] * 2,
        "false_positive_rate": [0, 0.5, 1, 0, 0, 1],
        "true_positive_rate": [0, 0.5, 1, 0, 1, 1],
    }
)
METRICS = pd.DataFrame(
    {
        "model": ["cs", "csd", "csd"],
        "comparator": [None, None, "cs"],
        "origin": "external",
        "subgroup": None,
        "metric": "auc",
        "estimate": [0.5, 1.0, 0.25],
        "low": [0.4, 0.9, 0.1],
        "high": [0.6, 1.0, 0.4],
        "note": ["", "too_few_events", ""],
    }
)
CALIBRATION = pd.DataFrame(
    {
        "model": "csd",
        "risk": [0.1, 0.5, 0.9],
        "observed": [0.2, 0.5, 0.7],
        "low": [0.1, 0.4, 0.5],
        "high": [0.3, 0.6, 0.9],
    }
)
DECISION = pd.DataFrame(
    {
        "model": "csd",
        "threshold": [0.1, 0.2, 0.3] * 3,
        "strategy": ["model"] * 3 + ["all"] * 3 + ["none"] * 3,
        "net_benefit": [0.1, 0.08, 0.07, 0.12, 0.05, -0.1, 0.0, 0.0, 0.0],
    }
)
SURVIVAL = pd.DataFrame(
    {
        "outcome": "death",
        "estimate": "survival",
        "grouping": "risk",
        "group": ["low"] * 3 + ["high"] * 3,
        "months": [0, 5, 12] * 2,
        "survival": [1, 0.9, 0.8, 1, 0.5, 0.25],
        "low": [1, 0.8, 0.7, 1, 0.4, 0.1],
        "high": [1, 1, 0.9, 1, 0.6, 0.4],
        "at_risk": [10, 9, 8, 10, 6, 2],
    }
)
CODINGS = pd.DataFrame(
    {
        "coding": ["censored"] * 3 + ["followed_to_death"] * 3,
        "months": [0, 10, 20] * 2,
        "estimate": [0, 0.4, 0.9, 0, 0.3, 0.5],
    }
)
LEARNING = pd.DataFrame(
    {
        "network": ["fold 1"] * 2 + ["fold 2"] * 2,
        "epoch": [1, 2] * 2,
        "loss": [0.7, 0.5, 0.7, 0.3],
        "inner_auc": [0.5, 0.6, 0.5, 0.8],
    }
)
LAYERS = pd.DataFrame(
    {
        "layer": ["C_Block", "R_Block 1", "Dense, softmax"],
        "stride": [2, 2, 1],
        "height": [64, 32, 1],
        "width": [64, 32, 1],
        "channels": [16, 32, 2],
        "parameters": [176, 1400, 26],
    }
)
NOISE = pd.DataFrame(
    {
        "protocol": ["leak_free"] * 2 + ["as_published"] * 2,
        "noise_sd": [0.0, 0.3] * 2,
        "mean_score": [0.3, 0.31, 0.25, 0.99],
        "low": [0.2, 0.2, 0.2, 0.9],
        "high": [0.4, 0.4, 0.3, 1.0],
        "n": 12,
    }
)
POINTS = pd.DataFrame(
    {
        "predictor": ["diameter_mm", "diameter_mm", "cirrhosis", "cirrhosis"],
        "value": [10, 100, "no", "yes"],
        "points": [0, 100, 0, 40],
    }
)
TOTAL = pd.DataFrame(
    {"total_points": [0, 140], "linear_predictor": [-1.386, 1.386], "risk": [0.2, 0.8]}
)
DIFFERENCES = pd.DataFrame(
    {
        "variable": ["enhancement_ratio"] + ["recist_mm"] * 3,
        "pair": ["r1 - r2", "r1 - r2", "r1 - r3", "r1 - r3"],
        "mean": [1.5, 20, 10, 30],
        "difference": [0.1, -4, 2, 3],
    }
)
LIMITS = pd.DataFrame(
    {
        "variable": ["enhancement_ratio", "recist_mm", "recist_mm"],
        "pair": ["r1 - r2", "r1 - r2", "r1 - r3"],
        "n": [40, 95, 93],
        "bias": [0.01, -2.5, 0.25], "bias_low": -3.0, "bias_high": 1.0,
        "lower": [-0.1, -40.75, -43.5], "lower_low": -50.0, "lower_high": -30.0,
        "upper": [0.12, 36.4, 44.0], "upper_low": 30.0, "upper_high": 50.0,
    }
)  # fmt: skip
SCORES = pd.DataFrame({"model": "csd", "risk": [0.02, 0.03, 0.97], "event": [False, False, True]})
PIXELS = np.full((2, 4, 4), 60, dtype=np.int16)
TILES = {
    "title": ["a<br>z 1 mm", "b"],
    "left": 0.25,
    "right": 0.75,
    "top": 0.25,
    "bottom": 1.0,
}
ATTRIBUTED = {"grad_cam": np.array([np.full((4, 4), 2.0), np.zeros((4, 4))])}
CHECKED = pd.DataFrame(
    {"method": "grad_cam", "check": ["randomisation", "deletion"], "passes": [True, False]}
)
EXPLAINED = pd.DataFrame(
    {
        "method": "grad_cam",
        "check": ["randomisation"] * 2 + ["deletion"] * 3,
        "step": [1, 2, 0, 0.5, 1],
        "estimate": [0.9, 0.25, 0.8, 0.3, 0.1],
        "reference": [0.5, 0.5, 0.8, 0.6, 0.1],
    }
)

GAP = pd.DataFrame(
    {
        "patients": ["development", "validation"],
        "model": "d",
        "leak_free_origin": ["out_of_fold", "external"],
        "leak_free": [0.7, 0.6],
        "leak_free_low": [0.6, 0.4],
        "leak_free_high": [0.8, 0.75],
        "as_published_origin": ["apparent", "tuned"],
        "as_published": [0.95, 0.65],
        "as_published_low": [0.9, 0.5],
        "as_published_high": [0.98, 0.8],
        "difference": [0.25, 0.05],
        "difference_low": [0.15, -0.1],
        "difference_high": [0.35, 0.2],
        "n": [236, 96],
        "events": [60, 22],
        "note": "",
    }
)

CONTROLS = pd.DataFrame(
    {
        "control": ["permuted_outcome", "permuted_outcome", "noise_score"],
        "model": "csd",
        "comparator": ["", "", "cs"],
        "origin": ["out_of_fold", "stacked", "out_of_fold"],
        "metric": ["auc", "auc", "nri"],
        "z": [-0.5, 6.0, 1.25],
    }
)

ALL = {
    "flow_chart": lambda: figures.flow_chart(FLOW),
    "study": lambda: figures.study(BOXES),
    "roc": lambda: figures.roc(ROC, METRICS),
    "forest": lambda: figures.forest(METRICS),
    "calibration": lambda: figures.calibration(CALIBRATION),
    "decision_curve": lambda: figures.decision_curve(DECISION),
    "survival": lambda: figures.survival(SURVIVAL),
    "codings": lambda: figures.codings(CODINGS),
    "learning_curves": lambda: figures.learning_curves(LEARNING),
    "network": lambda: figures.network(LAYERS),
    "noise_probe": lambda: figures.noise_probe(NOISE),
    "gap": lambda: figures.gap(GAP),
    "controls": lambda: figures.controls(CONTROLS),
    "nomogram": lambda: figures.nomogram(POINTS, TOTAL),
    "contact_sheet": lambda: figures.contact_sheet(PIXELS, pd.DataFrame(TILES)),
    "score_distribution": lambda: figures.score_distribution(SCORES),
    "bland_altman": lambda: figures.bland_altman(DIFFERENCES, LIMITS),
    "attribution_maps": lambda: figures.attribution_maps(
        PIXELS, pd.DataFrame(TILES), ATTRIBUTED, CHECKED
    ),
    "attribution_checks": lambda: figures.attribution_checks(EXPLAINED),
}
WORDS = {
    "flow_chart": "Screened: 104; 5 left out (no CT at the time of diagnosis), 99 remain",
    "study": "Model CS: factors and Model D: a network; then Validation: Hospital C.",
    "roc": "Model CS: AUC 0.50 (0.40 to 0.60). Model CSD: AUC 1.00 (0.90 to 1.00), few events",
    "forest": "Model CSD · Model CS 0.25 (0.10 to 0.40)",
    "calibration": "where 10% was predicted 20% was observed, and where 90% was predicted 70%",
    "decision_curve": "above both intervening in all and in none at 2 of 3 thresholds, between 20%",
    "survival": "Low risk: 80% at 12 months",
    "codings": "no event: follow-up ends at the last visit: 40% at 12 months; competing",
    "learning_curves": "from 0.700 to 0.400 on average",
    "network": "1,602 parameters in all. C_Block: 64 × 64 × 16, 176 parameters; R_Block 1",
    "noise_probe": "the paper's noisy copies: from 0.25 without noise to 0.99 with most",
    "controls": "AUC, Model CSD (stacked) · Permuted outcome: +6.0",
    "gap": "Model D · Development: 0.700 leak-free, 0.950 as published; Model D · All validation",
    "nomogram": "Largest diameter (mm) up to 100 points",
    "contact_sheet": "2 CT slices, the box outlined in each, window 100 HU wide 250 HU",
    "score_distribution": "Model CSD, no event: median 0.03",
    "bland_altman": "RECIST diameter (mm), reader 1 less reader 3: bias 0.25, limits of agreement "
    "-43.5 to 44, 93 patients",
    "attribution_maps": "Grad-CAM fails deletion: area below chance.",
    "attribution_checks": "Grad-CAM, similarity with all layers random: 0.25, reference 0.50. "
    "Grad-CAM, mean score as pixels are deleted: 0.40, reference 0.50",
}


def trace(figure, name):
    return next(one for one in figure.data if one.name == name and one.mode != "text")


@pytest.mark.parametrize("name", ALL)
def test_says_its_numbers_to_those_who_cannot_see_it(name):
    """Read off the tables above; the mean loss is (0.5 + 0.3) / 2, the median risk 0.025."""
    assert WORDS[name] in ALL[name]().layout.meta["alt"]


def test_roc_draws_the_table_and_names_its_axes():
    figure = figures.roc(ROC)
    assert list(trace(figure, "Model CS").x) == [0, 0.5, 1]
    assert list(trace(figure, "Model CSD").y) == [0, 1, 1]
    assert figure.layout.xaxis.title.text == "False positive rate (1 − specificity)"


def test_roc_without_metrics_says_the_area_by_the_trapezoid():
    """CS is the diagonal: one half."""
    assert "Model CS: area under the curve 0.50" in figures.roc(ROC).layout.meta["alt"]


def test_forest_refuses_two_metrics_on_one_axis():
    two = pd.concat([METRICS, METRICS.assign(metric="brier")])
    with pytest.raises(checks.InputError, match="shows one metric; the table has 2: auc, brier"):
        figures.forest(two)


def test_forest_reaches_each_interval():
    figure = figures.forest(METRICS.head(1))
    point = trace(figure, "Model CS")
    assert point.x[0] + point.error_x.array[0] == pytest.approx(0.6)
    assert point.x[0] - point.error_x.arrayminus[0] == pytest.approx(0.4)


def test_instability_is_a_band_around_the_model_itself():
    table = pd.DataFrame(
        {"risk": [0.1, 0.7], "low": [0.02, 0.3], "high": [0.3, 0.9], "difference": [0.05, 0.1]}
    )
    figure = figures.instability(table)
    lines = {trace.name: list(trace.y) for trace in figure.data if trace.name}
    assert lines == {
        "97.5 % of resamples below": [0.3, 0.9],
        "2.5 % below": [0.02, 0.3],
        "The model itself": [0.1, 0.7],
    }
    assert "70% by the model, 30% to 90% by 95 of 100 resamples" in figure.layout.meta["alt"]
    assert "nothing to draw" in figures.instability(table[:0]).layout.meta["alt"]


def test_calibration_draws_its_band():
    low, high = (one for one in figures.calibration(CALIBRATION).data if one.hoverinfo == "skip"
                 and one.name is None)  # fmt: skip
    assert list(low.y) == [0.1, 0.4, 0.5]
    assert list(high.y) == [0.3, 0.6, 0.9]


def test_a_smooth_calibration_curve_is_the_line_and_the_groups_are_points():
    smooth = CALIBRATION.assign(observed=[0.15, 0.5, 0.75], low=[0.1, 0.45, 0.6])
    figure = figures.calibration(CALIBRATION, smooth)
    line, points = (one for one in figure.data if one.mode in ("lines", "markers")
                    and str(one.name).startswith("Model CSD"))  # fmt: skip
    assert list(line.y) == [0.15, 0.5, 0.75]
    assert list(points.y) == [0.2, 0.5, 0.7]
    assert points.error_y.array == pytest.approx([0.1, 0.1, 0.2])
    assert points.error_y.arrayminus == pytest.approx([0.1, 0.1, 0.2])


def test_decision_curve_has_the_defaults_once_for_two_models():
    two = pd.concat([DECISION, DECISION.assign(model="cs")])
    names = [one.name for one in figures.decision_curve(two).data]
    assert names == ["Intervene in all", "Intervene in none", "Model CSD", "Model CS"]


def test_survival_writes_those_at_risk_below():
    """At month 12 of the table 8 and 2 are at risk; at month 3 those of the next row, 9 and 6."""
    figure = figures.survival(SURVIVAL)
    rows = {one.y[0]: list(one.text) for one in figure.data if one.mode == "text"}
    months = list(next(one for one in figure.data if one.mode == "text").x)
    assert months == [0, 3, 6, 9, 12]
    assert rows["Low risk"] == ["10", "9", "8", "8", "8"]
    assert rows["High risk"] == ["10", "6", "2", "2", "2"]


def test_survival_names_what_it_shows():
    assert figures.survival(SURVIVAL).layout.yaxis.title.text == "Alive"
    incidence = figures.survival(SURVIVAL.assign(outcome="aggressive_pd", estimate="incidence"))
    words = "Cumulative incidence of<br>aggressive progression"
    assert incidence.layout.yaxis.title.text == words


COLUMNS = ("child_pugh", "bclc")


def test_survival_draws_a_panel_with_its_own_legend_for_each_grouping():
    """Stages A and B of two groupings are four curves of their own, in two panels."""
    stages = {"low": "A", "high": "B"}
    by = [SURVIVAL.assign(grouping=g, group=SURVIVAL["group"].map(stages)) for g in COLUMNS]
    figure = figures.survival(pd.concat(by))
    curves = [one for one in figure.data if one.mode == "lines" and one.showlegend is None]
    assert [(one.name, one.yaxis, one.legend) for one in curves] == [
        ("A", "y", "legend"),
        ("B", "y", "legend"),
        ("A", "y3", "legend2"),
        ("B", "y3", "legend2"),
    ]
    assert len({one.legendgroup for one in curves}) == 4
    titles = [figure.layout[name].title.text.strip() for name in ("legend", "legend2")]
    assert titles == ["Child-Pugh class", "BCLC stage"]


def test_survival_s_panels_do_not_overlap():
    figure = figures.survival(pd.concat([SURVIVAL.assign(grouping=g) for g in COLUMNS]))
    domains = [figure.layout[name].domain for name in ("yaxis", "yaxis2", "yaxis3", "yaxis4")]
    edges = [edge for low, high in domains for edge in (high, low)]
    assert edges == sorted(edges, reverse=True)
    assert 0 <= edges[-1] < edges[0] == 1


def test_groups_of_one_panel_differ_in_colour_and_dashes():
    six = [SURVIVAL.iloc[:3].assign(grouping="bclc", group=stage) for stage in "ABCDEF"]
    figure = figures.survival(pd.concat(six))
    lines = [one.line for one in figure.data if one.mode == "lines" and one.showlegend is None]
    assert len({line.color for line in lines}) == len({line.dash for line in lines}) == 6


def test_codings_draws_each_way_as_the_table_has_it():
    figure = figures.codings(CODINGS)
    censored, followed = figure.data
    assert censored.name == "No event: follow-up ends at the last visit"
    assert list(followed.y) == [0, 0.3, 0.5]
    assert figure.layout.xaxis.title.text == "Months"


def test_survival_refuses_two_outcomes():
    two = pd.concat([SURVIVAL, SURVIVAL.assign(outcome="aggressive_pd")])
    with pytest.raises(checks.InputError, match="one outcome and one estimate; the table has 2"):
        figures.survival(two)


def test_nomogram_places_a_risk_at_its_points():
    """Risk runs from .2 at 0 to .8 at 140 of 140 points: .5 stands at the middle of the ruler."""
    ruler = trace(figures.nomogram(POINTS, TOTAL), "Risk")
    assert dict(zip(ruler.text, ruler.x, strict=True))["50%"] == pytest.approx(50)


def test_score_distribution_carries_counts_not_patients():
    """Two risks below .05 without, one above .95 with the event."""
    none, some = figures.score_distribution(SCORES).data
    assert (none.y[0], none.y.sum()) == (2, 2)
    assert (some.y[-1], some.y.sum()) == (1, 1)


def drawn_in(figure, panel):
    return [one for one in figure.data if one.xaxis == panel]


def test_bland_altman_has_a_panel_for_each_pair_of_each_variable():
    """A ratio's pair above, two pairs of a diameter below; the place beside the ratio is empty."""
    figure = figures.bland_altman(DIFFERENCES, LIMITS)
    points = [one for one in figure.data if one.mode == "markers"]
    assert [list(one.y) for one in points] == [[0.1], [-4], [2, 3]]
    assert figure.layout.yaxis3.matches == "y2"
    assert figure.layout.xaxis3.range == figure.layout.xaxis2.range
    assert figure.layout.xaxis2.title.text == "RECIST diameter (mm),<br>mean of the two"
    assert "Reader 1<br>− reader 3<br>n = 93" in [one.text for one in figure.layout.annotations]


def test_bland_altman_dashes_the_bias_and_the_limits_and_writes_them():
    """The last panel: bias 0.25, limits -43.5 and 44, bands as the table has their intervals."""
    figure = figures.bland_altman(DIFFERENCES, LIMITS)
    lines = {one.y[0]: one.line.dash for one in drawn_in(figure, "x3") if one.mode == "lines"}
    assert lines == {0.25: "dash", -43.5: "dot", 44: "dot"}
    written = [one.text for one in figure.layout.annotations if one.xref == "x3"]
    assert written == ["0.25", "-43.5", "44"]
    bands = [(one.y0, one.y1) for one in figure.layout.shapes if one.yref == "y3"]
    assert bands == [(-3, 1), (-50, -30), (30, 50)]


def test_bland_altman_leaves_out_a_pair_without_limits():
    """One panel of three is left, with its points and three lines."""
    unknown = LIMITS.assign(bias=[np.nan, np.nan, 0.25])
    assert len(figures.bland_altman(DIFFERENCES, unknown).data) == 4
    nothing = figures.bland_altman(DIFFERENCES, LIMITS.assign(bias=np.nan))
    assert "nothing to draw" in nothing.layout.meta["alt"]


def test_a_contact_sheet_is_one_picture_with_each_tile_below_its_title():
    """Tiles of 4 x 4 pixels become 2 x 2, a row above for the title, a column between: 2 tiles.

    The box, from 1/4 to 3/4 of 2 pixels that begin at -0.5, is from 0 to 1, and 3 to the right.
    """
    pixels = np.repeat(np.array([100, 225]), 16).reshape(2, 4, 4)
    figure = figures.contact_sheet(pixels, pd.DataFrame(TILES), columns=2)
    assert figure.data[0].z.tolist() == [
        [250] * 6,
        [128, 128, 250, 255, 255, 250],
        [128, 128, 250, 255, 255, 250],
    ]
    assert figure.data[1].x[:5].tolist() == [0, 1, 1, 0, 0]
    assert figure.data[1].x[6:11].tolist() == [3, 4, 4, 3, 3]
    assert figure.data[1].y[:5].tolist() == [1, 1, 2.5, 2.5, 1]
    assert list(figure.data[2].text) == ["a", "b"]


def test_a_map_lies_over_its_own_slice_and_a_failing_one_says_so():
    """
    Tiles of 4 x 4 pixels become 2 x 2 below a row for the title, a column between them.

    The left half of the sheet is the slice alone. The first map is 2 everywhere, on its own scale
    1; the second is empty.
    """
    figure = ALL["attribution_maps"]()
    laid = next(one for one in figure.data if one.type == "heatmap" and one.zmin == -1)
    expected = np.full((6, 6), np.nan)
    expected[1:3, 3:5], expected[4:6, 3:5] = 1, 0
    np.testing.assert_array_equal(laid.z, expected)
    assert list(figure.data[2].text) == ["a", "Grad-CAM <b>fails</b>", "b", "Grad-CAM <b>fails</b>"]


def test_a_map_that_passes_is_not_said_to_fail():
    passing = CHECKED.assign(passes=pd.array([True, None], dtype="boolean"))
    figure = figures.attribution_maps(PIXELS, pd.DataFrame(TILES), ATTRIBUTED, passing)
    assert "Grad-CAM passes every check" in figure.layout.meta["alt"]
    assert list(figure.data[2].text) == ["a", "Grad-CAM", "b", "Grad-CAM"]


def test_attribution_checks_draw_each_check_with_its_reference():
    figure = figures.attribution_checks(EXPLAINED)
    lines = [(one.xaxis, list(one.y), one.line.dash) for one in figure.data]
    assert lines == [
        ("x", [0.9, 0.25], None),
        ("x", [0.5, 0.5], "dot"),
        ("x2", [0.8, 0.3, 0.1], None),
        ("x2", [0.8, 0.6, 0.1], "dot"),
    ]
    assert figure.layout.yaxis2.title.text == "Score"


def test_flow_of_two_hospitals_is_added_up():
    """5 and 2 left without a CT."""
    other = FLOW.assign(centre="hospital_d", excluded=[0, 2, 0, 0], remaining=[50, 48, 48, 48])
    words = figures.flow_chart(pd.concat([FLOW, other])).layout.meta["alt"]
    assert "7 left out (no CT at the time of diagnosis: Hospital C 5, Hospital D 2), 147" in words
    assert "3 left out (another cancer: Hospital C 3), 144 remain" in words


@pytest.mark.parametrize(
    ("table", "message"),
    [
        pytest.param(ROC.drop(columns="model"), "lacks 1 column", id="column missing"),
        pytest.param(
            ROC.assign(patient_id="x"), "leave the column 'patient_id' out", id="patients"
        ),
    ],
)
def test_bad_input_is_named(table, message):
    with pytest.raises(checks.InputError, match=message):
        figures.roc(table)


def test_without_rows_the_figure_says_so():
    """With one class only a model has no curve: a page says it, and goes on."""
    for name, table in (("roc", ROC), ("calibration", CALIBRATION), ("learning_curves", LEARNING)):
        figure = getattr(figures, name)(table.head(0))
        assert "nothing to draw" in figure.layout.meta["alt"]
        assert "Nothing to draw" in figure.layout.annotations[0].text


def test_forest_says_what_was_not_estimated():
    none = METRICS.head(2).assign(estimate=[0.5, None], low=[0.4, None], high=[0.6, None])
    figure = figures.forest(none)
    assert "Model CSD not estimated" in figure.layout.meta["alt"]
    assert list(figure.layout.yaxis.categoryarray) == ["Model CSD", "Model CS"]


@pytest.mark.parametrize(
    ("low", "high", "marks"),
    [
        (0.05, 0.45, [0.05, 0.1, 0.2, 0.3, 0.4]),
        (0.305, 0.355, [0.31, 0.32, 0.33, 0.34, 0.35]),
        (0.301, 0.309, []),
    ],
)
def test_a_narrow_ruler_of_risks_has_finer_marks(low, high, marks):
    assert figures._risk_marks(low, high).tolist() == pytest.approx(marks)


def test_the_study_at_a_glance_has_a_box_a_row_and_arrows_between_steps():
    """Two models between one box and another: two arrows to them, two from them."""
    figure = figures.study(BOXES)
    framed = [note for note in figure.layout.annotations if note.text]
    assert [note.text.split("<br>")[0] for note in framed] == [
        "<b>Development</b>", "<b>Model CS</b>", "<b>Model D</b>", "<b>Validation</b>"
    ]  # fmt: skip
    arrows = [note for note in figure.layout.annotations if not note.text]
    assert [(note.ax, note.x) for note in arrows] == [
        (0.5, 0.25), (0.5, 0.75), (0.25, 0.5), (0.75, 0.5)
    ]  # fmt: skip
    heights = [note.y for note in framed]
    assert heights[0] < heights[1] == heights[2] < heights[3]
