"""The demo's files: valid, readable by others and by us, and the same each time."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pydicom
import pytest
import SimpleITK as sitk

from hcc_utils.demo import dicom, phantoms
from hcc_utils.demo.hospitals import HOSPITALS
from hcc_utils.imaging import roi, series

PATIENT = pd.Series(
    {
        "patient_id": "A007",
        "sex": "female",
        "diameter_mm": 31.0,
        "lobe": "right",
        "capsule": "intact",
    }
)
SEED = 11


@pytest.fixture(scope="module", params=["hospital_a", "hospital_b"])
def written(request, tmp_path_factory):
    """A patient of a hospital that stores signed, and of one that stores unsigned values."""
    folder = tmp_path_factory.mktemp(request.param)
    dicom.write_patient(folder, PATIENT, 0.3, HOSPITALS[request.param], SEED)
    return folder, HOSPITALS[request.param]


@pytest.fixture(scope="module")
def truth(written):
    return phantoms.phantom(PATIENT, 0.3, written[1], SEED)


@pytest.fixture(scope="module")
def slices(written):
    return [pydicom.dcmread(path) for path in sorted((written[0] / "dicom" / "A007").iterdir())]


@pytest.fixture(scope="module")
def segmentation(written):
    return pydicom.dcmread(written[0] / "roi" / "A007.dcm")


def contents(folder):
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_equal_arguments_give_equal_bytes(written, tmp_path):
    folder, hospital = written
    dicom.write_patient(tmp_path, PATIENT, 0.3, hospital, SEED)
    assert contents(tmp_path) == contents(folder)


def test_another_patient_has_other_uids(written, slices, tmp_path):
    other = PATIENT.copy()
    other["patient_id"] = "A008"
    dicom.write_patient(tmp_path, other, 0.3, written[1], SEED)
    first = pydicom.dcmread(tmp_path / "dicom" / "A008" / "001.dcm")
    for name in ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "FrameOfReferenceUID"):
        assert first[name].value != slices[0][name].value


def test_hounsfield_units_come_back_exactly(slices, truth):
    for image, expected in zip(slices, truth.hounsfield, strict=True):
        found = image.pixel_array.astype(int) * image.RescaleSlope + image.RescaleIntercept
        assert np.array_equal(found, expected)


def test_another_decoder_reads_the_same(written, truth):
    """SimpleITK decodes JPEG-LS with GDCM, pydicom with CharLS."""
    reader = sitk.ImageSeriesReader()
    names = reader.GetGDCMSeriesFileNames(str(written[0] / "dicom" / "A007"))
    reader.SetFileNames(names)
    volume = reader.Execute()
    assert np.array_equal(sitk.GetArrayFromImage(volume), truth.hounsfield)
    spacing = written[1].pixel_spacing_mm
    assert volume.GetSpacing() == pytest.approx((spacing, spacing, truth.slice_spacing_mm))


def test_values_are_stored_as_the_hospital_does(written, slices):
    signed = written[1].name == "hospital_a"
    stored = {(s.PixelRepresentation, s.RescaleIntercept, s.BitsStored) for s in slices}
    assert stored == {(1, 0, 12) if signed else (0, -1024, 12)}


def test_slices_ascend_evenly(slices, truth):
    corners = np.array([image.ImagePositionPatient for image in slices], float)
    assert np.allclose(corners[:, :2], corners[0, :2])
    assert np.allclose(np.diff(corners[:, 2]), slices[0].SpacingBetweenSlices)
    assert [image.InstanceNumber for image in slices] == list(range(1, len(slices) + 1))


def test_headers_tell_the_scanner_and_no_person(written, slices, segmentation):
    hospital = written[1]
    for dataset in (*slices, segmentation):
        assert str(dataset.PatientName) == "Synthetic^A007"
        assert (dataset.PatientID, dataset.PatientBirthDate) == ("A007", "")
        assert dataset.PatientIdentityRemoved == "YES"
    image = slices[0]
    assert (image.KVP, image.ConvolutionKernel) == (hospital.kvp, hospital.kernel)
    assert "portal venous" in image.SeriesDescription


def test_segmentation_refers_to_its_slices(slices, segmentation, truth):
    """Each frame names the one slice on which it lies, and marks there what was drawn."""
    numbers = {image.SOPInstanceUID: number for number, image in enumerate(slices)}
    masks = segmentation.pixel_array.reshape(-1, 320, 320)
    found = np.zeros_like(truth.lesion)
    for mask, frame in zip(masks, segmentation.PerFrameFunctionalGroupsSequence, strict=True):
        source = frame.DerivationImageSequence[0].SourceImageSequence
        assert len(source) == 1
        found[numbers[source[0].ReferencedSOPInstanceUID]] = mask
    assert np.array_equal(found, truth.lesion)
    assert segmentation.FrameOfReferenceUID == slices[0].FrameOfReferenceUID


def test_no_date_is_of_today(segmentation, slices):
    """All dates are one, everywhere, also within sequences: today's would differ tomorrow."""
    dates = {
        str(element.value)[:8]
        for dataset in (segmentation, *slices)
        for element in dataset.iterall()
        if element.VR in ("DA", "DT") and element.value
    }
    assert dates == {"20000101"}


def test_our_own_reader_passes_the_series_and_finds_the_lesion(written, truth):
    folder = series.folder(written[0] / "dicom" / "A007")
    row = folder.inventory.squeeze()
    assert (row["status"], row["rules"]) == ("pass", "")
    boxes = roi.from_seg(written[0] / "roi" / "A007.dcm", folder.open(row["series_instance_uid"]))
    expected = [
        (rows.min(), rows.max(), columns.min(), columns.max())
        for rows, columns in (np.nonzero(mask) for mask in truth.lesion if mask.any())
    ]
    assert boxes[list(roi.EDGES)].to_numpy().tolist() == np.array(expected).tolist()


def test_another_matrix_keeps_the_field_of_view_and_the_lesion(tmp_path):
    """At 512 x 512 the same body is drawn finer: equal field, a lesion of equal size."""
    hospital = HOSPITALS["hospital_a"]
    finer = hospital.with_pixels(512)
    assert finer.pixels * finer.pixel_spacing_mm == pytest.approx(
        hospital.pixels * hospital.pixel_spacing_mm, abs=1e-3
    )
    coarse, fine = (phantoms.phantom(PATIENT, 0.5, each, 7) for each in (hospital, finer))
    assert fine.hounsfield.shape[1:] == (512, 512)
    area = [p.lesion.sum() * h.pixel_spacing_mm**2 for p, h in ((coarse, hospital), (fine, finer))]
    assert area[1] == pytest.approx(area[0], rel=0.03)
