"""The reading form asks for the vocabulary's factors and levels, and so do the tables."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hcc_utils.study import vocabulary

BOOK = Path(__file__).parents[1] / "book"
FORM = (BOOK / "_static" / "reading_form.html").read_text("utf-8")
PAGE = (BOOK / "reading.md").read_text("utf-8")


@pytest.mark.parametrize("reader", vocabulary.READERS)
def test_each_reader_s_table_has_the_study_table_s_columns(reader):
    columns = (BOOK / "_static" / f"reading_{reader}.csv").read_text("utf-8").strip().split(",")
    assert columns == ["patient_id", *(f"{factor.name}_{reader}" for factor in vocabulary.SEMANTIC)]
    assert set(columns) <= set(vocabulary.VARIABLES)


@pytest.mark.parametrize("factor", vocabulary.SEMANTIC, ids=lambda factor: factor.name)
def test_form_and_page_name_each_factor_and_what_may_be_written(factor):
    (row,) = re.findall(rf"<tr><th scope=\"row\">{factor.label}<small>.*?</tr>", FORM)
    boxes = re.findall(r"<span>&#9744; (.*?)</span>", row)
    flag = ["no", "yes"] if factor.kind == "flag" else []
    assert boxes == (flag or [level.replace("_", "-") for level in factor.levels])
    assert f"| {factor.label} | `{factor.name}` |" in PAGE


def test_the_form_asks_nothing_of_the_network():
    assert "http" not in FORM
    assert "<script" not in FORM
