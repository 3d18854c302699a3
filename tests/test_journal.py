"""A second walk reads only what changed, and says the same as a first one."""

from __future__ import annotations

import itertools
import os
import shutil
import sqlite3
from pathlib import Path

import pandas as pd
import pytest
from dicom_files import ct_slice, uid, write_series
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_enhanced_ct import write_enhanced

from hcc_utils.imaging import headers, journal, series

LONG_AGO_NS = 1_000_000_000_000_000_000


def settle(root: Path, at_ns: int = LONG_AGO_NS) -> Path:
    """Give all files one old date, as an unpacked archive does."""
    for file in root.rglob("*"):
        os.utime(file, ns=(at_ns, at_ns))
    return root


@pytest.fixture
def root(tmp_path) -> Path:
    for name in ("P1", "P2", "P3"):
        write_series(tmp_path / "root" / name, z_mm=(0, 2.5, 5))
    (tmp_path / "root" / "P2" / "notes.txt").write_text("no image")
    (tmp_path / "root" / "P3" / "IM7.dcm").write_bytes(b"")
    return settle(tmp_path / "root")


@pytest.fixture
def opened(monkeypatch) -> list[str]:
    """The names of the files that are read from now on."""
    names = []
    read = headers.read

    def noted(path):
        names.append(path.name)
        return read(path)

    monkeypatch.setattr(headers, "read", noted)
    return names


def walk(root: Path) -> pd.DataFrame:
    return series.inventory(root, kept=root.parent / "headers", workers=1)


def assert_says_what_a_first_walk_says(root: Path) -> None:
    again, first = walk(root), series.inventory(root, workers=1)
    pd.testing.assert_frame_equal(again, first)
    assert again.attrs == first.attrs


def test_what_did_not_change_is_not_opened(root, opened):
    """The empty file alone is read again: it may be whole now without another date."""
    walk(root)
    opened.clear()
    assert_says_what_a_first_walk_says(root)
    assert opened[:1] == ["IM7.dcm"]
    assert len(opened) == 1 + 11  # the walk without a journal reads them all


def test_size_and_date_tell_whether_a_file_changed(root):
    """Other bytes of the same length under the same date are not seen; with a new date they are."""
    walk(root)
    for file in (root / "P1").iterdir():
        file.write_bytes(file.read_bytes().replace(b"STANDARD", b"SOFTENED"))
    settle(root)
    assert walk(root)["kernel"].tolist()[0] == "STANDARD"
    settle(root, LONG_AGO_NS + 1)
    assert walk(root)["kernel"].tolist()[0] == "SOFTENED"


def test_two_files_of_one_size_and_date_that_change_names_are_read_again(root, opened):
    """Slices of a series are equally long: only their inodes tell them apart."""
    walk(root)
    opened.clear()
    one, two = root / "P1" / "1-01.dcm", root / "P1" / "1-02.dcm"
    one.rename(root / "P1" / "x")
    two.rename(one)
    (root / "P1" / "x").rename(two)
    walk(root)
    assert opened == ["1-01.dcm", "1-02.dcm", "IM7.dcm"]


def test_what_has_just_changed_is_read_once_more(root, opened):
    """It may change again within one step of the clock."""
    os.utime(root / "P1" / "1-02.dcm")
    walk(root)
    opened.clear()
    walk(root)
    assert opened == ["1-02.dcm", "IM7.dcm"]


def test_headers_are_kept_to_the_last_digit(tmp_path):
    def change(number, image):
        image.SpecificCharacterSet = "ISO_IR 192"
        image.PatientID, image.RescaleSlope = "Müller 陳", "0.1234567890123"

    folder = write_series(tmp_path / "P1", z_mm=[0.1], change=change)
    write_enhanced(folder / "enhanced")
    settle(tmp_path)
    found = []
    for _ in range(2):
        known = journal.Known(tmp_path, tmp_path / "kept", "P1")
        found.append([known.read(file) for file in sorted(folder.iterdir())])
        with journal.renewed(tmp_path / "kept") as keep:
            keep("P1", known.packed())
    assert [len(slices) for slices in found[0]] == [1, 6]
    assert found[0] == found[1]


def test_a_walk_that_was_interrupted_keeps_what_it_and_an_earlier_one_read(root, opened):
    walk(root)
    settle(root / "P1", LONG_AGO_NS + 1)
    settle(root / "P2", LONG_AGO_NS + 1)

    def interrupt(done, total):
        if done == 2:
            raise KeyboardInterrupt

    opened.clear()
    with pytest.raises(KeyboardInterrupt):
        series.inventory(root, kept=root.parent / "headers", workers=1, progress=interrupt)
    opened.clear()
    walk(root)
    assert opened == ["1-01.dcm", "1-02.dcm", "1-03.dcm", "notes.txt", "IM7.dcm"]  # P2's, P3's one


def test_a_patient_who_is_gone_is_forgotten(root):
    walk(root)
    shutil.rmtree(root / "P2")
    walk(root)
    with sqlite3.connect(root.parent / "headers") as kept:
        assert kept.execute("SELECT name FROM patients").fetchall() == [("P1",), ("P3",)]


def foreign(path: Path) -> None:
    """A database of something else."""
    path.unlink()
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE patients (age INTEGER)")


def of_an_older_version(path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch, journal.renewed(path) as keep:
        patch.setattr(journal, "_version", lambda: "older")
        known = journal.Known(path.parent / "root", path, "P1")
        known.read(path.parent / "root" / "P2" / "1-01.dcm")
        keep("P1", known.packed())


def overwritten(share: float):
    """Eight bytes somewhere are others."""

    def change(path: Path) -> None:
        data = bytearray(path.read_bytes())
        at = int(share * (len(data) - 8))
        data[at : at + 8] = bytes(byte ^ 0x55 for byte in data[at : at + 8])
        path.write_bytes(data)

    return change


DAMAGE = {
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("patient_id,centre\n"),
    "cut": lambda path: os.truncate(path, path.stat().st_size // 2),
    "foreign": foreign,
    "older": of_an_older_version,
    **{f"overwritten at {n} %": overwritten(n / 100) for n in range(0, 101, 4)},
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=list(DAMAGE))
def test_a_damaged_journal_is_written_anew(root, opened, damage):
    walk(root)
    damage(root.parent / "headers")
    assert_says_what_a_first_walk_says(root)
    opened.clear()
    walk(root)
    assert opened == ["IM7.dcm"]


def write(file: Path, z_mm: int) -> None:
    image = ct_slice(0, float(z_mm), patient_id="P1")
    image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = uid(2, z_mm)
    image.save_as(file, enforce_file_format=True)


CHANGES = st.tuples(
    st.sampled_from(["write", "remove", "rename", "touch", "cut", "no walk"]),
    st.integers(0, 11),
    st.sampled_from(["P1/1-01.dcm", "P1/1-02.dcm", "P2/new", "P2/1-01.dcm", "P4/IM1", "loose"]),
)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(CHANGES, max_size=8))
def test_whatever_changes_a_second_walk_says_what_a_first_one_says(tmp_path, changes):
    """Files come, go and change; what is renamed keeps its date, all others get a new one."""
    shutil.rmtree(tmp_path / "root", ignore_errors=True)
    (tmp_path / "headers").unlink(missing_ok=True)
    for name in ("P1", "P2"):
        write_series(tmp_path / "root" / name, z_mm=(0, 2.5, 5))
    root, dates = settle(tmp_path / "root"), itertools.count(LONG_AGO_NS + 1)
    for what, which, name in changes:
        file = root / name
        there = sorted(path for path in root.rglob("*") if path.is_file())
        file.parent.mkdir(exist_ok=True)
        if what == "write":
            write(file, which)
        elif there:
            change(what, there[which % len(there)], file)
        if what in ("write", "touch", "cut") and file.exists():
            os.utime(file, ns=(date := next(dates), date))
        if what != "no walk":
            assert_says_what_a_first_walk_says(root)


def change(what: str, old: Path, file: Path) -> None:
    """One change of a file that is there."""
    if what == "remove":
        old.unlink()
    elif what == "rename":
        old.rename(file)
    elif what == "cut" and file.exists():
        os.truncate(file, file.stat().st_size // 2)
