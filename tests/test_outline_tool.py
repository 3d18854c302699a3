"""The outline tool's Python side: what it answers, and that it sends no more than one slice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import papermill
import pydicom
import pytest
import small_study
from test_contouring import EVEN, SIZE, drawn

from hcc_utils.imaging.desk import Desk
from hcc_utils.presentation.outline_tool import OutlineTool


@pytest.fixture
def tool(tmp_path, monkeypatch):
    """A tool on one patient with a ball in the middle, and all that it sends."""
    drawn(tmp_path / "dicom" / "P1", EVEN)
    made = OutlineTool(Desk(tmp_path / "dicom", tmp_path / "out"), diameter_mm=28)
    made.sent = []
    monkeypatch.setattr(made, "send", lambda reply, buffers: made.sent.append((reply, buffers)))
    return made


def answer(tool, kind, **asked):
    tool._handle_custom_msg({"kind": kind, "id": "7", **asked}, [])
    reply, buffers = tool.sent[-1]
    assert reply["id"] == "7"
    return reply, buffers


def test_its_settings_name_the_patients_and_carry_no_pixels(tool):
    expected = {"patients": ["P1"], "window": [60, 350], "diameter": 28}
    assert tool.settings == expected


def test_opening_tells_the_geometry(tool):
    reply, buffers = answer(tool, "open", patient="P1")
    assert (reply["rows"], reply["columns"], reply["spacing"]) == (SIZE, SIZE, (0.75, 0.75))
    assert reply["heights"] == list(EVEN)
    assert buffers == []


def test_a_slice_is_its_hounsfield_units(tool, tmp_path):
    answer(tool, "open", patient="P1")
    _, (buffer,) = answer(tool, "slice", number=3)
    stored = pydicom.dcmread(tmp_path / "dicom" / "P1" / "1-04.dcm").pixel_array
    assert np.array_equal(np.frombuffer(buffer, "<i2").reshape(SIZE, SIZE), stored)


def test_outline_keep_and_save(tool, tmp_path):
    """A ball of 14 mm radius holds 4/3 pi 14^3 mm3."""
    answer(tool, "open", patient="P1")
    reply, buffers = answer(tool, "contour", number=12, row=48, column=48, diameter=28, edge=[])
    sizes = [part["rows"] * part["columns"] for part in reply["parts"]]
    assert [len(buffer) for buffer in buffers] == sizes
    volume = sum(map(sum, buffers)) * 0.75**2 * 2.5
    assert volume == pytest.approx(4 / 3 * np.pi * 14**3, rel=0.15)
    assert "HU against its surroundings" in reply["words"]
    answer(tool, "keep")
    reply, _ = answer(tool, "save")
    assert "1 lesion(s) saved" in reply["words"]
    assert (tmp_path / "out" / "P1.dcm").is_file()


@pytest.mark.parametrize(
    ("kind", "asked", "words"),
    [
        pytest.param("slice", {"number": 0}, "no series is open", id="slice"),
        pytest.param("keep", {}, "nothing is outlined", id="keep"),
        pytest.param("open", {"patient": "P9"}, "must be one of P1", id="patient"),
    ],
)
def test_what_cannot_be_done_is_said(tool, kind, asked, words):
    assert words in answer(tool, kind, **asked)[0]["problem"]


def test_a_refused_outline_leaves_none_to_keep(tool):
    answer(tool, "open", patient="P1")
    answer(tool, "contour", number=12, row=48, column=48, diameter=28, edge=[])
    assert (
        "diameter_mm"
        in answer(tool, "contour", number=12, row=48, column=48, diameter=0, edge=[])[0]["problem"]
    )
    assert "nothing is outlined" in answer(tool, "keep")[0]["problem"]


def test_its_notebook_runs_to_the_end(tmp_path):
    """As papermill runs the chapters; nobody clicks, so nothing is written."""
    drawn(tmp_path / "a" / "dicom" / "P1", EVEN)
    with_ct = small_study.centre("a", "development", dicom="a/dicom")
    manifest = small_study.MANIFEST | {"centres": {"a": with_ct}}
    notebook = Path(__file__).parents[1] / "notebooks" / "outline_lesion.ipynb"
    executed = papermill.execute_notebook(
        str(notebook),
        None,
        {
            "manifest": str(small_study.write(tmp_path, manifest=manifest)),
            "centre": "a",
            "out": str(tmp_path / "out"),
        },
        progress_bar=False,
    )
    shown = [output for cell in executed.cells for output in cell.get("outputs", [])]
    kinds = [kind for output in shown for kind in output.get("data", {})]
    assert "application/vnd.jupyter.widget-view+json" in kinds
    assert not (tmp_path / "out").exists()
