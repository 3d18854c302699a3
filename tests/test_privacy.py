"""The reading gate: what identifies is named with its file, and nothing is quoted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
from dicom_files import ct_slice, store, uid
from pictures import scout, written
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from typer.testing import CliRunner

from hcc_utils import checks, cli
from hcc_utils.imaging import privacy

SECRET = "Zzsecret"
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


def item(**values: object) -> list[Dataset]:
    """A sequence of one item."""
    one = Dataset()
    for keyword, value in values.items():
        setattr(one, keyword, value)
    return [one]


def private(image: Dataset) -> None:
    image.private_block(0x0009, "MAKER", create=True).add_new(0x10, "LO", SECRET)


def nested_private(image: Dataset) -> None:
    image.AnatomicRegionSequence = item(CodeMeaning="liver")
    private(image.AnatomicRegionSequence[0])


def graphics(image: Dataset) -> None:
    image.add_new(0x60000010, "US", 8)
    image.add_new(0x60003000, "OW", b"\xff" * 8)


def in_pixels(image: Dataset) -> None:
    image.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    image.ImageOrientationPatient = [1, 0, 0, 0, 0, -1]
    put(image, written(scout(), f"{SECRET} 1950"))


def put(image: Dataset, pixels: np.ndarray) -> None:
    """Other pixels, with their size."""
    store(image, pixels.astype("<i2"))
    image.Rows, image.Columns = pixels.shape


def sets(keyword: str, value: object = SECRET):
    """A plant that sets one attribute."""
    return lambda image: setattr(image, keyword, value)


def meta(keyword: str):
    return lambda image: setattr(image.file_meta, keyword, SECRET)


PLANTED = {
    # attribute: how it is planted; a hospital's CT has most of these
    "preamble": lambda image: setattr(image, "preamble", SECRET.encode().ljust(128, b"\0")),
    "SourceApplicationEntityTitle": meta("SourceApplicationEntityTitle"),
    "SendingApplicationEntityTitle": meta("SendingApplicationEntityTitle"),
    "private attributes (0009,xxxx)": private,
    "private attributes (0009,xxxx) in a sequence": nested_private,
    "overlays (60xx,xxxx)": graphics,
    "overlays (60xx,xxxx) by a comment": lambda image: image.add_new(0x60024000, "LT", SECRET),
    "curves (50xx,xxxx)": lambda image: image.add_new(0x50003000, "OW", b"\x01\x02"),
    "PatientName": sets("PatientName", f"{SECRET}^Quaxi"),
    "PatientID": sets("PatientID"),
    "PatientBirthDate": sets("PatientBirthDate", "19500102"),
    "OtherPatientIDs": sets("OtherPatientIDs"),
    "OtherPatientNames": sets("OtherPatientNames"),
    "PatientAddress": sets("PatientAddress"),
    "PatientTelephoneNumbers": sets("PatientTelephoneNumbers"),
    "PatientComments": sets("PatientComments"),
    "AdditionalPatientHistory": sets("AdditionalPatientHistory"),
    "InstitutionName": sets("InstitutionName"),
    "InstitutionAddress": sets("InstitutionAddress"),
    "ReferringPhysicianName": sets("ReferringPhysicianName"),
    "PerformingPhysicianName": sets("PerformingPhysicianName"),
    "OperatorsName": sets("OperatorsName"),
    "StationName": sets("StationName"),
    "DeviceSerialNumber": sets("DeviceSerialNumber"),
    "StudyDate": sets("StudyDate", "20200102"),
    "AcquisitionDateTime": sets("AcquisitionDateTime", "20200102101500"),
    "AccessionNumber": sets("AccessionNumber"),
    "StudyID": sets("StudyID"),
    "ImageComments": sets("ImageComments"),
    "ProtocolName": sets("ProtocolName"),
    "RequestAttributesSequence.ScheduledProcedureStepDescription": sets(
        "RequestAttributesSequence", item(ScheduledProcedureStepDescription=SECRET)
    ),
    "ReferencedPerformedProcedureStepSequence": sets(
        "ReferencedPerformedProcedureStepSequence", item(ReferencedSOPInstanceUID=uid(7, 7))
    ),
    "AnatomicRegionSequence.PersonName": sets(
        "AnatomicRegionSequence", item(PersonName=f"{SECRET}^Quaxi")
    ),
    "DigitalSignaturesSequence.CertificateOfSigner": sets(
        "DigitalSignaturesSequence", item(CertificateOfSigner=SECRET.encode())
    ),
    "DataSetTrailingPadding": sets("DataSetTrailingPadding", SECRET.encode()),
    "PatientName in a path": sets("PatientName", "Quaxi^Pathsecret"),
    "PatientID in a path": sets("PatientID", "Pathsecret-4711"),
    "text in the pixels": in_pixels,
}


def found_as(name: str) -> str:
    """The attribute under which a plant is reported."""
    return name.partition(" in a sequence")[0].partition(" by a comment")[0]


def save(image: Dataset, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save_as(path, enforce_file_format=True)
    return path


@pytest.fixture
def root(tmp_path):
    return tmp_path / "ct"


def bare() -> Dataset:
    """A slice that says nothing of anybody but its UIDs."""
    return ct_slice(0, 0.0, patient_id="")


def reported(root: Path, **options: object):
    return privacy.report(root, workers=1, **options)


def attributes(root: Path) -> set[str]:
    return set(reported(root)["attribute"])


def test_there_are_as_many_plants_as_the_de_identification_tools_were_tried_with():
    assert len(PLANTED) == 38


@pytest.mark.parametrize("name", PLANTED)
def test_each_planted_identifier_is_reported(root, name):
    save(bare(), root / "a" / "bare.dcm")
    before = attributes(root)
    image = bare()
    PLANTED[name](image)
    planted = save(image, root / "pathsecret_4711" / "1.dcm")
    table = reported(root)
    row = table[table["attribute"] == found_as(name)]
    assert found_as(name) not in before
    assert row["files"].tolist() == [1]
    assert row["first_files"].item().endswith("1.dcm")
    assert "secret" not in table.to_csv().replace(planted.parent.name, "").lower()


def test_no_value_is_quoted_even_where_it_names_the_folder(root):
    image = bare()
    for plant in PLANTED.values():
        plant(image)
    save(image, root / "Pathsecret-4711" / "Quaxi.dcm")
    save(bare(), root / "another" / "1.dcm")
    table = reported(root)
    assert "secret" not in table.to_csv().lower()
    assert "quaxi" not in table.to_csv().lower()
    assert set(table["first_files"]) >= {"[1 of 2]/[1 of 1]"}


def test_a_bare_file_has_nothing_but_its_uids(root):
    save(bare(), root / "1.dcm")
    assert set(reported(root)["rule"]) == {"unique_identifier"}


def test_a_note_of_de_identification_is_not_trusted(root):
    image = bare()
    image.PatientIdentityRemoved = "YES"
    image.DeidentificationMethod = "somebody's script"
    image.PatientName = f"{SECRET}^Quaxi"
    save(image, root / "1.dcm")
    assert "PatientName" in attributes(root)


def test_attributes_that_are_there_but_empty_are_not_reported(root):
    image = bare()
    image.InstitutionName = ""
    image.RequestAttributesSequence = item(ScheduledProcedureStepDescription="")
    save(image, root / "1.dcm")
    assert not attributes(root) & {"InstitutionName", "RequestAttributesSequence"}


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian], ids=str)
def test_sequences_are_entered_whatever_the_transfer_syntax(root, syntax):
    image = bare()
    image.file_meta.TransferSyntaxUID = syntax
    nested = item(RequestAttributesSequence=item(RequestedProcedureDescription=SECRET))
    image.AnatomicRegionSequence = nested
    save(image, root / "1.dcm")
    name = "AnatomicRegionSequence.RequestAttributesSequence.RequestedProcedureDescription"
    assert name in attributes(root)


def test_a_dicomdir_is_read_too(root):
    directory = Dataset()
    directory.file_meta = FileMetaDataset()
    directory.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    directory.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.1.3.10"
    directory.file_meta.MediaStorageSOPInstanceUID = uid(1)
    directory.DirectoryRecordSequence = item(PatientName=f"{SECRET}^Quaxi")
    save(directory, root / "DICOMDIR")
    assert "DirectoryRecordSequence.PatientName" in attributes(root)


def test_files_are_counted_and_the_first_is_named(root):
    for number in range(3):
        image = bare()
        image.InstitutionName = SECRET if number else ""
        save(image, root / f"{number}.dcm")
    row = reported(root).query("attribute == 'InstitutionName'")
    assert (row["files"].item(), row["first_files"].item()) == (2, "1.dcm")


def test_the_number_of_processes_changes_nothing(root):
    for number in range(3):
        image = bare()
        image.InstitutionName = SECRET
        save(image, root / f"{number}.dcm")
    assert reported(root).equals(privacy.report(root, workers=2))


def test_what_cannot_be_looked_at_is_said(root):
    save(bare(), root / "1.dcm")
    (root / "list.txt").write_text(SECRET)
    (root / "damaged.dcm").write_bytes((root / "1.dcm").read_bytes()[:200])
    (root / "gone.dcm").symlink_to(root / "nowhere.dcm")
    image = bare()
    image.ImageOrientationPatient = None
    image.PixelData = b"\0\0"
    save(image, root / "short.dcm")
    table = reported(root).query("rule == 'not_looked_at'")
    assert dict(zip(table["attribute"], table["files"], strict=True)) == {
        "file that is not DICOM": 1,
        "file that cannot be read": 2,
        "pixels that cannot be decoded": 1,
    }


def burned_in(image: Dataset) -> None:
    image.BurnedInAnnotation = "YES"


def screenshot(image: Dataset) -> None:
    image.SOPClassUID = image.file_meta.MediaStorageSOPClassUID = SECONDARY_CAPTURE
    put(image, written(np.zeros((96, 128)), "R"))


@pytest.mark.parametrize(
    ("plant", "rule"),
    [
        (burned_in, "burned_in_annotation"),
        (screenshot, "secondary_capture"),
        (in_pixels, "burned_in_text"),
    ],
    ids=["burned in", "screenshot", "text on a scout"],
)
class TestWhatIsRefused:
    """Pixels that may show a name: nothing else stops a hospital from reading its own images."""

    def test_it_is_refused_with_the_file_and_the_next_step(self, root, plant, rule):
        image = bare()
        plant(image)
        save(image, root / "1.dcm")
        with pytest.raises(checks.Problems, match=rf"1\.dcm: .*--allow {rule}"):
            privacy.refuse(reported(root))

    def test_it_passes_where_somebody_answers_for_it(self, root, plant, rule):
        image = bare()
        plant(image)
        save(image, root / "1.dcm")
        table = reported(root, allow=[rule])
        privacy.refuse(table)
        assert privacy.provenance(table)["allowed"] == {rule: 1}


def test_up_to_ten_of_the_refused_files_are_named(root):
    for number in range(12):
        image = bare()
        burned_in(image)
        save(image, root / f"{number:02d}.dcm")
    with pytest.raises(checks.Problems) as refused:
        privacy.refuse(reported(root))
    (line,) = refused.value.lines
    assert line.startswith("00.dcm, 01.dcm, ")
    assert "09.dcm, ...: BurnedInAnnotation" in line
    assert "12 such file(s)" in line


def test_names_and_dates_alone_are_reported_and_not_refused(root):
    image = bare()
    image.PatientName, image.StudyDate = f"{SECRET}^Quaxi", "20200102"
    save(image, root / "1.dcm")
    table = reported(root)
    privacy.refuse(table)
    assert {"PatientName", "StudyDate"} <= set(table["attribute"])


def test_the_provenance_holds_counts_and_the_standard_alone(root):
    image = bare()
    image.PatientName = f"{SECRET}^Quaxi"
    save(image, root / "1.dcm")
    said = privacy.provenance(reported(root))
    assert (said["files"], said["identifying"]["PatientName"]) == (1, 1)
    assert "PS3.15" in said["standard"]
    assert SECRET not in str(said)


def test_an_unknown_rule_is_named(root):
    save(bare(), root / "1.dcm")
    with pytest.raises(checks.InputError, match="nearest: 'secondary_capture'"):
        reported(root, allow=["secondary_captures"])


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(checks.InputError, match="is not a folder"):
        reported(tmp_path / "none")


def test_the_standards_table_agrees_with_pydicoms_dictionary():
    known = {
        tag: kind.attribute
        for tag, kind in privacy._basic_profile().items()
        if pydicom.datadict.dictionary_has_tag(tag)
    }
    assert len(known) > 600
    assert known == {tag: pydicom.datadict.keyword_for_tag(tag) for tag in known}


@pytest.mark.parametrize(
    ("keyword", "action"),
    [
        # by hand from PS3.15, table E.1-1, column Basic Prof.
        ("PatientName", "Z"),
        ("PatientID", "Z/D"),
        ("AccessionNumber", "Z"),
        ("InstitutionName", "X/Z/D"),
        ("SeriesDate", "X/D"),
        ("ContentDate", "Z/D"),
        ("PatientComments", "X"),
        ("ContainerIdentifier", "D"),
        ("SOPInstanceUID", "U"),
        ("SourceImageSequence", "X/Z/U*"),
    ],
)
def test_the_action_is_the_standards(keyword, action):
    kind = privacy._basic_profile()[int(pydicom.tag.Tag(keyword))]
    assert (kind.attribute, kind.action) == (keyword, action)


def test_what_the_pipeline_reads_is_not_called_identifying():
    harmless = ["Rows", "PixelSpacing", "RescaleSlope", "ImageType", "Modality", "SOPClassUID"]
    listed = privacy._basic_profile()
    assert not [word for word in harmless if int(pydicom.tag.Tag(word)) in listed]


def test_the_headers_identities_are_gathered_without_the_empty_ones(root):
    image = bare()
    image.PatientName, image.AccessionNumber = f"{SECRET}^Quaxi", "A-1"
    save(image, root / "1.dcm")
    values = privacy.values(root, workers=1)
    assert values["PatientName"] == {f"{SECRET}^Quaxi"}
    assert values["SOPInstanceUID"] == {image.SOPInstanceUID}
    assert values["PatientBirthDate"] == frozenset()


class TestTheCommand:
    """`hcc privacy ROOT`."""

    def test_it_names_attributes_files_and_the_tool_and_no_value(self, root):
        image = bare()
        image.PatientName = f"{SECRET}^Quaxi"
        save(image, root / "1.dcm")
        shown = CliRunner().invoke(cli.app, ["privacy", str(root)])
        assert shown.exit_code == 0
        assert "PatientName: 1 file" in shown.output
        assert "dicom-anonymizer" in shown.output
        assert SECRET not in shown.output

    def test_it_ends_with_the_code_of_wrong_input_where_it_refuses(self, root, monkeypatch, capsys):
        image = bare()
        burned_in(image)
        save(image, root / "1.dcm")
        monkeypatch.setattr("sys.argv", ["hcc", "privacy", str(root)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert ended.value.code == 2
        assert "--allow burned_in_annotation" in capsys.readouterr().err

    def test_its_table_can_be_kept(self, root, tmp_path):
        image = bare()
        burned_in(image)
        save(image, root / "1.dcm")
        allowed = ["--allow", "burned_in_annotation", "--out", str(tmp_path / "privacy.csv")]
        assert CliRunner().invoke(cli.app, ["privacy", str(root), *allowed]).exit_code == 0
        assert "burned_in_annotation,allowed" in (tmp_path / "privacy.csv").read_text("utf-8")


@pytest.mark.real_data
def test_the_real_sample_is_reported_and_not_refused(hcc_tace_seg_root):
    """Its README says PatientIdentityRemoved is YES and one folder holds another PatientID."""
    table = privacy.report(hcc_tace_seg_root / "dicom")
    privacy.refuse(table)
    rows = table.set_index("attribute")["files"]
    assert rows["PatientName"] == rows["PatientID"] == 295
    assert rows["PatientID in a path"] == 295 - 89
    assert "text in the pixels" not in rows
