"""The inventory of roots as hospitals' archives write them."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from dicom_files import ct_slice, uid, write_series
from typer.testing import CliRunner

from hcc_utils import cli
from hcc_utils.checks import InputError
from hcc_utils.imaging import series


def write_dicomdir(root: Path) -> Path:
    """The directory file of a disc, without records."""
    directory = ct_slice(0, 0, patient_id="")
    directory.SOPClassUID = "1.2.840.10008.1.3.10"
    directory.file_meta.MediaStorageSOPClassUID = directory.SOPClassUID
    directory.save_as(root / "DICOMDIR", enforce_file_format=True)
    return root / "DICOMDIR"


def write_zip(path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("IM0001", b"\0" * 200)
    return path


def test_a_dicomdir_is_no_image_and_no_patient(tmp_path):
    write_series(tmp_path / "P1")
    write_dicomdir(tmp_path)
    table = series.inventory(tmp_path, workers=1)
    assert table["patient_id"].tolist() == ["P1"]
    assert table.attrs["not_dicom"] == 1


def test_an_archive_left_packed_is_refused_with_the_command(tmp_path):
    folder = write_series(tmp_path / "P1")
    archive = write_zip(folder / "second half.zip")
    table = series.inventory(tmp_path, workers=1)
    assert table[["status", "rules"]].to_numpy().tolist() == [
        ["pass", ""],
        ["refuse", "packed_archive"],
    ]
    assert table.attrs["left_out"] == [
        f"{archive} was not unpacked. Unpack it: unzip '{archive}' -d '{folder / 'second half'}'"
    ]


def test_a_patient_who_is_still_in_an_archive_is_told_how_to_unpack_it(tmp_path):
    archive = write_zip(tmp_path / "P1.zip")
    with pytest.raises(InputError, match=rf"unzip {archive} -d {tmp_path / 'P1'}$"):
        series.folder(tmp_path / "P1")


def test_a_folder_of_several_patients_is_no_patient(tmp_path):
    """DIR000 of an archive's export: whose a series is, no folder tells."""
    write_series(tmp_path / "DIR000", patient_id="4711")
    write_series(tmp_path / "DIR000", patient_id="4712", series=2)
    found = series.folder(tmp_path / "DIR000")
    assert [rules.split()[0] for rules in found.inventory["rules"]] == ["several_patients"] * 2
    with pytest.raises(InputError, match="give each patient a folder named like it"):
        found.open(uid(1))


def test_the_command_names_what_it_left_out(tmp_path):
    write_series(tmp_path / "root" / "P1")
    write_zip(tmp_path / "root" / "P2.zip")
    out = tmp_path / "inventory.csv"
    said = CliRunner().invoke(cli.app, ["inventory", str(tmp_path / "root"), "--out", str(out)])
    assert said.exit_code == 0
    assert "unzip" in said.output
    assert out.read_text().count("\n") == 3
