"""A phantom on disk: one portal-venous CT series and the lesion's outline."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, JPEGLSLossless, generate_uid

import hcc_utils
from hcc_utils.demo import outlines
from hcc_utils.demo.hospitals import Hospital
from hcc_utils.demo.lesions import Patient
from hcc_utils.demo.phantoms import Phantom, phantom

_SIGNED = frozenset({"Synthetic North", "Synthetic South"})  # the others store HU + 1024
_DATE, _TIME = "20000101", "120000"  # nobody was scanned: all on one day


def write_patient(
    folder: Path,
    patient: Patient,
    image_latent: float,
    hospital: Hospital,
    seed: int,
) -> None:
    """
    Nothing; the patient's series and the lesion's outline stand in the folder.

    The files are ``dicom/<patient_id>/<number>.dcm`` (JPEG-LS, lossless) and one in ``roi/``, in
    the hospital's form (`outlines.write`). Equal arguments give equal bytes: UIDs derive from the
    seed and the patient's name, dates are one and the same.

    Parameters
    ----------
    folder : pathlib.Path
        Where to write; made where it is not there.
    patient : Mapping or pandas.Series
        One row with the vocabulary's columns.
    image_latent : float
        What CT shows beyond the factors (`lesions`).
    hospital : Hospital
        Whose scanner: spacing, noise, kernel, kVp, and how values are stored.
    seed : int
        Of this patient alone.
    """
    drawn = phantom(patient, image_latent, hospital, seed)
    name = str(patient["patient_id"])
    series = folder / "dicom" / name
    series.mkdir(parents=True, exist_ok=True)
    (folder / "roi").mkdir(exist_ok=True)
    images = [_slice(drawn, number, patient, hospital, seed) for number in range(len(drawn.z_mm))]
    outlines.write(folder / "roi", images, drawn.lesion, hospital, _Uids(seed, name))
    for number, (image, hounsfield) in enumerate(zip(images, drawn.hounsfield, strict=True), 1):
        stored = hounsfield - np.int16(image.RescaleIntercept)
        kind = "<i2" if image.PixelRepresentation else "<u2"
        image.compress(
            JPEGLSLossless,
            stored.astype(kind),
            encoding_plugin="pyjpegls",
            generate_instance_uid=False,
        )
        image.save_as(series / f"{number:03d}.dcm", enforce_file_format=True)


class _Uids:
    """UIDs that follow from the seed, the patient and what they name."""

    def __init__(self, seed: int, patient_id: str) -> None:
        self._sources = [str(seed), patient_id]

    def __call__(self, *what: object) -> str:
        """The UID of one thing."""
        return str(generate_uid(entropy_srcs=[*self._sources, *map(str, what)]))


def _slice(
    drawn: Phantom,
    number: int,
    patient: Patient,
    hospital: Hospital,
    seed: int,
) -> Dataset:
    """One slice's attributes, module by module, without its pixels."""
    name = str(patient["patient_id"])
    uids = _Uids(seed, name)
    image = Dataset()
    image.file_meta = FileMetaDataset()
    image.file_meta.MediaStorageSOPClassUID = CTImageStorage
    image.file_meta.MediaStorageSOPInstanceUID = uids("slice", number)
    image.file_meta.TransferSyntaxUID = JPEGLSLossless
    for part in (
        _who(name, patient),
        _study_and_series(hospital, uids),
        _geometry(drawn, number, uids),
        _acquisition(hospital),
        _pixels(hospital),
    ):
        image.update(part)
    image.SOPClassUID = CTImageStorage
    image.SOPInstanceUID = uids("slice", number)
    image.InstanceNumber = number + 1
    return image


def _who(name: str, patient: Patient) -> dict[str, Any]:
    """Patient, who does not exist."""
    sex = {"male": "M", "female": "F"}.get(str(patient.get("sex")), "")
    return {
        "SpecificCharacterSet": "ISO_IR 192",
        "PatientName": f"Synthetic^{name}",
        "PatientID": name,
        "PatientBirthDate": "",
        "PatientSex": sex,
        "PatientIdentityRemoved": "YES",
        "DeidentificationMethod": "Synthetic: drawn by a program, no patient",
    }


def _study_and_series(hospital: Hospital, uids: _Uids) -> dict[str, Any]:
    return {
        "StudyInstanceUID": uids("study"),
        "SeriesInstanceUID": uids("series"),
        "StudyDate": _DATE,
        "StudyTime": _TIME,
        "SeriesDate": _DATE,
        "SeriesTime": _TIME,
        "ContentDate": _DATE,
        "ContentTime": _TIME,
        "AcquisitionDate": _DATE,
        "AcquisitionTime": _TIME,
        "StudyID": "1",
        "AccessionNumber": "",
        "ReferringPhysicianName": "",
        "StudyDescription": "CT abdomen (synthetic)",
        "SeriesDescription": f"Abdomen portal venous {hospital.kernel}",
        "SeriesNumber": 3,
        "AcquisitionNumber": 1,
        "Modality": "CT",
        "BodyPartExamined": "ABDOMEN",
        "PatientPosition": "FFS",
        "Manufacturer": hospital.manufacturer,
        "ManufacturerModelName": hospital.model,
        "InstitutionName": f"{hospital.title} (synthetic)",
        "SoftwareVersions": hcc_utils.__version__,
    }


def _geometry(drawn: Phantom, number: int, uids: _Uids) -> dict[str, Any]:
    """Where the slice lies: axial, rows to the patient's left, columns to the back."""
    z = round(float(drawn.z_mm[number]), 3)
    corner = [round(float(drawn.x_mm[0]), 4), round(float(drawn.y_mm[0]), 4), z]
    return {
        "FrameOfReferenceUID": uids("frame of reference"),
        "PositionReferenceIndicator": "",
        "ImagePositionPatient": corner,
        "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
        "SliceLocation": z,
        "PixelSpacing": [drawn.pixel_spacing_mm, drawn.pixel_spacing_mm],
        "SpacingBetweenSlices": drawn.slice_spacing_mm,
    }


def _acquisition(hospital: Hospital) -> dict[str, Any]:
    return {
        "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
        "KVP": hospital.kvp,
        "ConvolutionKernel": hospital.kernel,
        "SliceThickness": hospital.slice_spacing_mm,
        "ReconstructionDiameter": round(hospital.pixels * hospital.pixel_spacing_mm, 2),
        "ContrastBolusAgent": "Iodine (synthetic)",
        "ContrastBolusRoute": "IV",
        "GantryDetectorTilt": 0,
        "BurnedInAnnotation": "NO",
    }


def _pixels(hospital: Hospital) -> dict[str, Any]:
    """Twelve bits: signed Hounsfield units, or unsigned with an intercept."""
    signed = hospital.manufacturer in _SIGNED
    return {
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "Rows": hospital.pixels,
        "Columns": hospital.pixels,
        "BitsAllocated": 16,
        "BitsStored": 12,
        "HighBit": 11,
        "PixelRepresentation": int(signed),
        "RescaleIntercept": 0 if signed else -1024,
        "RescaleSlope": 1,
        "RescaleType": "HU",
        "WindowCenter": 60,
        "WindowWidth": 350,
    }
