"""The explorer carries counts alone, in a form that the book can draw."""

from __future__ import annotations

import pandas as pd
import pytest

from hcc_utils import checks
from hcc_utils.presentation import explorer

COUNTS = pd.DataFrame(
    {
        "model": ["csd", "csd"],
        "threshold": [0.3, 0.2],
        "true_positive": [2, 3],
        "false_positive": [1, 2],
        "false_negative": [1, 0],
        "true_negative": [6, 5],
    }
)


def test_the_stored_output_is_the_counts_in_order():
    bundle, _ = explorer.explorer(COUNTS, {"csd": 0.28})._repr_mimebundle_()
    rows = [[0.2, 3, 2, 0, 5], [0.3, 2, 1, 1, 6]]
    model = {"id": "csd", "label": "Model CSD", "frozen": 0.28, "rows": rows}
    assert bundle[explorer.MIME] == {"models": [model]}


def test_it_is_still_a_widget_in_jupyter():
    widget = explorer.explorer(COUNTS, {})
    bundle, _ = widget._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert "function mount(element, data)" in str(widget._esm)


def test_no_column_but_the_counts_is_carried():
    widget = explorer.explorer(COUNTS.assign(patient_id="P-17"), {})
    assert "P-17" not in str(widget.content)


def test_the_script_is_a_classic_one():
    """A page opened from a disk may not import modules."""
    script = explorer.SCRIPT.read_text("utf-8")
    assert not any(line.startswith(("import ", "export ")) for line in script.splitlines())


def test_arrow_keys_stay_with_the_slider_in_jupyterlab():
    assert '"data-lm-suppress-shortcuts": "true"' in explorer.SCRIPT.read_text("utf-8")


@pytest.mark.parametrize(
    ("counts", "thresholds", "message"),
    [
        pytest.param(COUNTS.drop(columns="threshold"), {}, "lacks 1 column", id="column"),
        pytest.param(COUNTS.head(0), {}, "nothing to explore", id="no rows"),
        pytest.param(COUNTS, {"cs": 0.2}, "must be one of csd; got 'cs'", id="unknown model"),
        pytest.param(COUNTS, {"csd": 28.0}, r"probabilities in \[0, 1\]", id="percent"),
        pytest.param(COUNTS.assign(true_positive=0.5), {}, "whole numbers", id="half a patient"),
        pytest.param(
            COUNTS.assign(true_negative=[6, 4]), {}, r"add up to \[9, 10\]", id="a patient lost"
        ),
    ],
)
def test_bad_input_is_named(counts, thresholds, message):
    with pytest.raises(checks.InputError, match=message):
        explorer.explorer(counts, thresholds)
