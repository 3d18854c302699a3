"""The paper's tables, counted on a few patients, and what they say where much is missing."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from test_gap import AS_PUBLISHED, CUTS, LEAK_FREE, scores

from hcc_utils import checks
from hcc_utils.evaluation import comparison, paper_tables
from hcc_utils.evaluation.gap import gap
from hcc_utils.presentation import words
from hcc_utils.study import published, results

CS, D, CSD = (0.7, 0.4, 0.6, 0.2), LEAK_FREE, AS_PUBLISHED
THRESHOLDS = {"cs": 0.7, "d": 0.5, "csd": 0.8}


def of_three(event=(True, True, False, False), **origins):
    """Three models' rows of ``metrics.csv`` for patients a to d."""
    both = scores("leak_free", CS, event=event, model="cs")
    both += scores("leak_free", D, event=event, origin=origins.get("d", ""))
    both += scores("leak_free", CSD, event=event, model="csd", origin=origins.get("csd", ""))
    return comparison.compare(both, THRESHOLDS)


def test_table_two_by_hand():
    """
    Of four pairs CS ranks three right, D three, CSD all; each at its own cut.

    CS from .7: a, no false alarm. D from .5: a, and c. CSD from .8: a and b, no false alarm.
    """
    table = paper_tables.table_two(of_three(), THRESHOLDS).set_index("model")
    assert table["auc"].tolist() == [0.75, 0.75, 1.0]
    assert table["sensitivity"].tolist() == [0.5, 0.5, 1.0]
    assert table["specificity"].tolist() == [1.0, 0.5, 1.0]
    assert table["threshold"].to_dict() == THRESHOLDS
    assert set(table["events"]) == {2}


def test_it_has_the_figures_of_the_paper_s_own():
    assert set(published.TABLE_TWO) - {"model", "dataset"} == set(paper_tables.TABLE_TWO)


def test_the_parameters_are_eight_in_the_paper_s_order():
    table = paper_tables.eight_parameters(of_three())
    found = table["parameter"].drop_duplicates().tolist()
    assert found == list(paper_tables.PARAMETERS)
    assert len(found) == 8


def test_each_pair_stands_once_under_what_compares():
    table = paper_tables.eight_parameters(of_three())
    for metric in ("nri", "idi", "auc_difference", "net_benefit_difference"):
        rows = table.loc[table["metric"] == metric, ["model", "comparator"]]
        assert rows.to_numpy().tolist() == [["d", "cs"], ["csd", "cs"], ["csd", "d"]]


def test_rows_read_from_a_file_give_the_same_table(tmp_path):
    """An empty comparator comes back as a missing one."""
    metrics = of_three()
    results.write_table(metrics, tmp_path / "metrics.csv")
    again = results.read_table(tmp_path / "metrics.csv")
    for table_of in (
        paper_tables.eight_parameters,
        lambda rows: paper_tables.table_two(rows, THRESHOLDS),
    ):
        ours, theirs = (table_of(rows) for rows in (metrics, again))
        assert ours.to_csv(index=False) == theirs.to_csv(index=False)


def test_a_table_that_is_not_metrics_is_refused():
    with pytest.raises(checks.InputError, match="comparator"):
        paper_tables.eight_parameters(of_three().drop(columns="comparator"))


def test_table_two_reads_in_words():
    shown = words.table_two(paper_tables.table_two(of_three(), THRESHOLDS))
    assert shown.index.tolist() == ["Model CS", "Model D", "Model CSD"]
    assert shown.loc["Model D", "threshold"] == "0.500"
    assert shown.loc["Model D", "events"] == "2 of 4"
    assert shown.loc["Model D", "Sensitivity (95 % interval)"].startswith("0.500 (")


def test_eight_parameters_read_in_words():
    shown = words.eight_parameters(paper_tables.eight_parameters(of_three()))
    assert list(shown) == ["Model CS", "Model D", "Model CSD"]
    assert shown.index.unique("parameter").size == 8
    over = dict(zip(shown.index.get_level_values(1)[3:5], shown["Model CSD"][3:5], strict=True))
    assert list(over) == ["over Model CS", "over Model D"]
    assert shown["Model CS"].iloc[3] == ""


def test_few_events_are_said():
    said = words.eight_parameters_verdict(paper_tables.eight_parameters(of_three()))
    assert "Fewer than 10 events: no test, no headline." in said


def test_one_class_alone_is_said_and_every_cell_too():
    table = paper_tables.eight_parameters(of_three(event=(False,) * 4))
    assert "Only events or only non-events" in words.eight_parameters_verdict(table)
    shown = words.eight_parameters(table)
    assert set(shown.to_numpy().ravel()) == {"not estimable", ""}
    two = words.table_two(paper_tables.table_two(of_three(event=(False,) * 4), THRESHOLDS))
    assert set(two["AUC (95 % interval)"]) == {"not estimable"}


def test_a_study_without_model_d_says_so_and_shows_its_own_model():
    alone = scores("leak_free", LEAK_FREE, model="clinical", origin="out_of_fold")
    metrics = comparison.compare(alone, {"clinical": 0.5})
    table = paper_tables.eight_parameters(metrics)
    said = words.eight_parameters_verdict(table)
    assert said.startswith("This study has no Model CS, Model D or Model CSD: the tables hold ")
    assert "hold one model against another, and there is one alone" in said
    assert list(words.eight_parameters(table)) == ["Clinical model"]
    two = words.table_two(paper_tables.table_two(metrics, {"clinical": 0.5}))
    assert two.index.tolist() == ["Clinical model"]


def test_stacked_scores_leave_comparisons_empty_and_it_is_said():
    table = paper_tables.eight_parameters(of_three(csd="stacked"))
    assert "csd" not in set(table.loc[table["comparator"] != "", "model"])
    assert "Model CSD's scores are stacked" in words.eight_parameters_verdict(table)


def test_a_miscalibrated_model_has_a_dagger_that_is_explained():
    table = paper_tables.eight_parameters(of_three())
    table["note"] = np.where(table["metric"] == "nri", "model_miscalibrated", "")
    shown = words.eight_parameters(table)
    daggers = [cell for cell in shown.to_numpy().ravel() if cell.endswith("†")]
    assert len(daggers) == 3
    assert "† A model is miscalibrated" in words.eight_parameters_verdict(table)


def test_without_any_warning_it_is_said_too():
    """The book takes no empty cell of words."""
    table = paper_tables.eight_parameters(of_three()).assign(note="")
    assert words.eight_parameters_verdict(table).startswith("All three models are there")


def test_the_gap_reads_patients_by_patients():
    both = scores("leak_free", LEAK_FREE) + scores("as_published", AS_PUBLISHED)
    table = gap(both, CUTS)
    shown = words.gap_figures(
        pd.concat([table.assign(patients="development"), table.assign(patients="hospital_c")])
    )
    assert list(shown) == ["development", "hospital_c"]
    page = shown["hospital_c"]
    assert page.attrs["caption"] == (
        "Hospital C: 2 events in 4 patients; fewer than 10 events: no test, no headline"
    )
    row = page.xs("Sensitivity", level="figure").iloc[0]
    assert row["leak-free"].endswith(" at 0.500")
    assert row["by the paper's choices"].endswith(" at 0.800")
    assert row["difference"] == "0.500 (-0.480 to 1.480)"
    assert row["what the paper chose otherwise"] == (
        "outcomes balanced by noisy copies; epoch chosen on these patients too; threshold from "
        "the patients of the fit"
    )
    assert page.xs("Specificity", level="figure")["what the paper chose otherwise"].item() == ""
    assert "AUC" not in page.index.get_level_values("figure")
    assert page.xs("Hosmer-Lemeshow chi-square", level="figure")["leak-free"].item() == "not used"


def test_every_choice_of_the_gap_has_words():
    both = scores("leak_free", LEAK_FREE) + scores("as_published", AS_PUBLISHED)
    for origin in ("apparent", "tuned", "external"):
        for model in ("cs", "d", "csd"):
            told = both.table.assign(model=model)
            told.loc[told["protocol"] == "as_published", "origin"] = origin
            cuts = {name: {model: 0.5} for name in CUTS}
            table = gap(type(both)(told), cuts).assign(patients="development")
            assert len(words.gap_figures(table)["development"]) == 7
