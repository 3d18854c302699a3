"""How fast images are read, and with how much memory, beside what others and the disk need.

python benchmarks/imaging.py [lesion] [inventory] [ingest] [memory] [--demo F] [--files N]

Makes its own files in a temporary folder (2 GB for 100 000 of them), runs each task in a process of
its own, three times, and prints tables: the best time, the highest memory. All files have just been
written, so that the page cache is warm. The demo study (data/demo) is needed for ingest and memory.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
import pydicom
import SimpleITK
import yaml

from hcc_utils.demo import dicom
from hcc_utils.demo.hospitals import HOSPITALS
from hcc_utils.imaging import elements, headers, series, slices, study_slices
from hcc_utils.study import folders
from hcc_utils.study.manifest import Manifest

WORKERS = 2
SLICES, LESION = 100, range(40, 60)
BOX = {"row_min": 216, "row_max": 295, "column_min": 176, "column_max": 255}
MARGIN = 5
A_FOLDER = 250  # files of the inventory's patients
PATIENT = pd.Series(
    {"patient_id": "A1", "sex": "male", "diameter_mm": 60.0, "lobe": "right", "capsule": "intact"}
)


# what a process of its own does


def lesion_ours(folder: str) -> dict[str, Any]:
    """Headers of all slices, pixels of the lesion's, cropped and resized."""
    found = series.folder(folder)
    opened = found.open(found.usable[0])
    boxes = [
        {"sop_instance_uid": opened.slices[place].sop_instance_uid, "lesion": 1, **BOX}
        for place in LESION
    ]
    table = pd.DataFrame(boxes).assign(roi_source="boxes", longest_mm=np.nan)
    return {"n": len(slices.lesion_slices(opened, table, MARGIN).pixels_hu)}


def lesion_simpleitk(folder: str) -> dict[str, Any]:
    """The whole series, then the same crop; not resized."""
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(folder))
    image = reader.Execute()
    volume = SimpleITK.GetArrayViewFromImage(image)
    rows = slice(BOX["row_min"] - MARGIN, BOX["row_max"] + MARGIN + 1)
    columns = slice(BOX["column_min"] - MARGIN, BOX["column_max"] + MARGIN + 1)
    return {"n": len(volume[LESION.start : LESION.stop, rows, columns].copy())}


def lesion_raw(folder: str) -> dict[str, Any]:
    """The bytes alone: the start of each file, and the lesion's files."""
    files = sorted(Path(folder).iterdir())
    return {
        "n": len(LESION),
        "bytes": sum(len(start_of(file)) for file in files)
        + sum(len(files[place].read_bytes()) for place in LESION),
    }


def inventory_first(root: str) -> dict[str, Any]:
    return {"n": int(series.inventory(root, workers=WORKERS)["n_files"].sum())}


def inventory_kept(root: str) -> dict[str, Any]:
    kept = Path(f"{root}.headers")
    return {"n": int(series.inventory(root, kept=kept, workers=WORKERS)["n_files"].sum())}


def inventory_raw(root: str) -> dict[str, Any]:
    """One process: names, and the start of each file."""
    return counted(len(start_of(file)) for file in folders.files(Path(root)))


def inventory_walk(root: str) -> dict[str, Any]:
    """One process: names and states, no file opened."""
    return counted(file.stat().st_size for file in folders.files(Path(root)))


def inventory_headers(root: str) -> dict[str, Any]:
    """One process: every header, no inventory."""
    return counted(len(headers.read(file)) for file in folders.files(Path(root)))


def inventory_pydicom(root: str) -> dict[str, Any]:
    """One process: every header by pydicom, for a tenth of the patients."""
    tenth = sorted(Path(root).iterdir())[::10]
    return counted(
        len(pydicom.dcmread(file, stop_before_pixels=True))
        for folder in tenth
        for file in folders.files(folder)
    )


def ingest(manifest: str) -> dict[str, Any]:
    study = Manifest.read(manifest)
    patients = pd.DataFrame(
        [
            {"patient_id": name, "centre": centre}
            for centre in study.centres
            for name in folders.patient_folders(study.path(centre, "dicom"))
        ]
    )
    found = study_slices.study_slices(study, patients)
    return {
        "n": len(patients),
        "slices": len(found.table),
        "problems": len(found.problems),
    }


TASKS: dict[str, Callable[[str], dict[str, Any]]] = {
    task.__name__: task
    for task in (
        *(lesion_ours, lesion_simpleitk, lesion_raw, inventory_first, inventory_kept),
        *(inventory_raw, inventory_walk, inventory_headers, inventory_pydicom, ingest),
    )
}


def start_of(file: Path) -> bytes:
    with file.open("rb") as opened:
        return opened.read(elements.FIRST)


def counted(numbers: Iterable[int]) -> dict[str, Any]:
    each = list(numbers)
    return {"n": len(each), "bytes": sum(each)}


def child(name: str, argument: str) -> None:
    """One task: time by the clock and of all processors, and how far memory rose from the start."""
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak of the imports
    before = peak_bytes()
    if name.startswith("lesion"):
        TASKS[name](argument)  # libraries load parts of themselves when they are first used
    used, start = sum(os.times()[:4]), time.perf_counter()
    found = TASKS[name](argument)
    seconds = time.perf_counter() - start
    found |= {"cpu": sum(os.times()[:4]) - used, "seconds": seconds}
    print(json.dumps(found | {"rise": peak_bytes() - before}))


def peak_bytes() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


# what starts and watches them


def measured(name: str, argument: Path, times: int = 3) -> dict[str, Any]:
    """The best time and the highest memory of several runs."""
    runs = [once(name, argument) for _ in range(times)]
    least = {key: min(run[key] for run in runs) for key in ("seconds", "cpu")}
    most = {key: max(run[key] for run in runs) for key in ("rise", "anonymous")}
    return runs[0] | least | most


def once(name: str, argument: Path) -> dict[str, Any]:
    """One run in a process of its own; the memory of all its processes is sampled."""
    command = [sys.executable, __file__, "--child", name, str(argument)]
    with tempfile.TemporaryFile("w+") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.DEVNULL)
        anonymous = 0
        while process.poll() is None:
            anonymous = max(anonymous, anonymous_bytes(process.pid))
            time.sleep(0.2)
        out.seek(0)
        if process.returncode:
            raise SystemExit(f"{name} failed; run it alone: {' '.join(command)}")
        said = json.loads(out.read())
    print(f"{name}: {said['seconds']:.2f} s", file=sys.stderr, flush=True)
    return said | {"anonymous": anonymous}


def anonymous_bytes(pid: int) -> int:
    """Memory of a process and all below it that is no file's."""
    total = 0
    try:
        parent = psutil.Process(pid)
        for process in (parent, *parent.children(recursive=True)):
            status = Path(f"/proc/{process.pid}/status").read_text()
            total += sum(int(s.split()[1]) for s in status.splitlines() if s.startswith("RssAnon"))
    except (psutil.Error, OSError):
        pass
    return total * 1024


# what they read


def write_series(folder: Path) -> tuple[Path, Path]:
    """A series of 512 x 512 x 100 with a phantom's pixels: plain, and in JPEG-LS."""
    dicom.write_patient(folder, PATIENT, 0.3, HOSPITALS["hospital_b"].with_pixels(512), 1)
    drawn = sorted((folder / "dicom" / "A1").iterdir())
    plain, packed = folder / "plain" / "A1", folder / "packed" / "A1"
    for place in (plain, packed):
        place.mkdir(parents=True)
    for number in range(SLICES):
        image = pydicom.dcmread(drawn[number % len(drawn)])
        uid = f"{image.SeriesInstanceUID[:50]}.{number + 1}"
        image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = uid
        image.ImagePositionPatient[2] = 2.5 * number
        image.InstanceNumber = number + 1
        image.save_as(packed / f"{number:03d}.dcm")
        image.decompress(generate_instance_uid=False)
        image.save_as(plain / f"{number:03d}.dcm")
    return plain, packed


def write_many(folder: Path, n_files: int) -> Path:
    """Slices of 96 x 96 pixels, 250 a patient, each with UIDs and a place of its own."""
    written = folder / "one"
    dicom.write_patient(written, PATIENT, 0.3, HOSPITALS["hospital_b"].with_pixels(96), 1)
    image = pydicom.dcmread(next((written / "dicom" / "A1").iterdir()))
    image.decompress(generate_instance_uid=False)
    with_clinical_elements(image)
    image.SeriesInstanceUID, image.SOPInstanceUID = "1.2.826.0.1.77777777", "1.2.826.0.1.88888888"
    image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
    image.ImagePositionPatient[2], image.PatientID = 99999, "P44444"
    file = io.BytesIO()
    image.save_as(file, enforce_file_format=True)
    template = file.getvalue()
    root = folder / "many"
    for number in range(n_files):
        patient, place = divmod(number, A_FOLDER)
        if not place:
            (root / f"P{patient:05d}").mkdir(parents=True)
        (root / f"P{patient:05d}" / f"IM{place:04d}").write_bytes(
            template.replace(b"77777777", b"%08d" % (10**7 + patient))
            .replace(b"88888888", b"%08d" % (10**7 + number))
            .replace(b"99999", b"%05d" % (10**4 + 3 * place))
            .replace(b"P44444", b"P%05d" % patient)
        )
    return root


def with_clinical_elements(image: pydicom.Dataset) -> None:
    """What scanners and archives add: codes in sequences, dose, a private block."""
    code = pydicom.Dataset()
    code.CodeValue, code.CodingSchemeDesignator = "77013", "CPT"
    code.CodeMeaning = "CT guidance for, and monitoring of, parenchymal tissue ablation"
    reference = pydicom.Dataset()
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = "1.2.3", "1.2.3.4"
    image.ProcedureCodeSequence, image.RequestedProcedureCodeSequence = [code], [code]
    image.ReferencedStudySequence, image.ReferencedImageSequence = [reference], [reference] * 2
    for keyword in ("ProcedureCodeSequence", "ReferencedImageSequence"):
        image[keyword].is_undefined_length = True
    for keyword in ("ExposureTime", "XRayTubeCurrent", "Exposure", "GeneratorPower"):
        setattr(image, keyword, 400)
    for keyword in (
        "DistanceSourceToDetector",
        "DistanceSourceToPatient",
        "DataCollectionDiameter",
    ):
        setattr(image, keyword, "949.075")
    for keyword in ("StationName", "ProtocolName", "FilterType", "RotationDirection", "FocalSpots"):
        setattr(image, keyword, "1.2" if keyword == "FocalSpots" else "BODY")
    block = image.private_block(0x0043, "SCANNER_PARM_01", create=True)
    for element in range(40):
        block.add_new(element, "DS", "1024.000000")


def write_study(folder: Path, demo: Path, n_patients: int) -> Path:
    """The demo's patients under their own names, or many times under new ones, as links."""
    study = yaml.safe_load((demo / "data_manifest.yaml").read_text("utf-8"))
    there = [
        (centre, name)
        for centre, said in study["centres"].items()
        for name in folders.patient_folders(demo / said["dicom"])
    ][: min(n_patients, 332)]
    copies = -(-n_patients // len(there))
    for centre, said in study["centres"].items():
        own = [name for where, name in there if where == centre]
        link_centre(folder / centre, demo / centre, own, copies)
        if said["roi"]["source"] == "boxes":
            table = pd.read_csv(demo / said["roi"]["path"], dtype=str)
            many = [table.assign(patient_id=table["patient_id"] + end(c)) for c in range(copies)]
            pd.concat(many).to_csv(folder / said["roi"]["path"], index=False)
    (folder / "data_manifest.yaml").write_text(yaml.safe_dump(study), "utf-8")
    return folder / "data_manifest.yaml"


def link_centre(folder: Path, demo: Path, names: list[str], copies: int) -> None:
    for part in ("dicom", "roi"):
        (folder / part).mkdir(parents=True)
    for file in ("patients.csv", "codebook.yaml", "SHA256SUMS"):
        shutil.copy(demo / file, folder / file)
    outlines = {file.name.partition(".")[0]: file for file in (demo / "roi").iterdir()}
    for name in names:
        for copy in range(copies):
            (folder / "dicom" / (name + end(copy))).symlink_to((demo / "dicom" / name).resolve())
            if name in outlines:
                ending = outlines[name].name.removeprefix(name)
                link = folder / "roi" / f"{name}{end(copy)}{ending}"
                link.symlink_to(outlines[name].resolve())


def end(copy: int) -> str:
    """What tells a patient's copies apart."""
    return f"x{copy}" if copy else ""


# what is printed


def lesion(folder: Path) -> None:
    print(f"\nA lesion of {len(LESION)} slices in a series of 512 x 512 x {SLICES}\n")
    print(
        "| series | by | seconds | times ours | MB of memory | MB read |\n|---|---|---|---|---|---|"
    )
    for title, where in zip(("plain", "JPEG-LS"), write_series(folder), strict=True):
        ours, theirs, raw = (
            measured(name, where) for name in ("lesion_ours", "lesion_simpleitk", "lesion_raw")
        )
        size = sum(file.stat().st_size for file in where.iterdir())
        row(title, "hcc_utils", ours, ours, raw["bytes"])
        row(title, "SimpleITK, all read, then cropped", theirs, ours, size)
        row(title, "the needed bytes alone", raw, ours, raw["bytes"])


def row(title: str, by: str, run: dict[str, Any], ours: dict[str, Any], n_bytes: int) -> None:
    times = " / ".join(f"{run[key] / ours[key]:.2f}" for key in ("seconds", "cpu"))
    needs = f"{run['rise'] / 1e6:.1f} | {n_bytes / 1e6:.1f}"
    print(f"| {title} | {by} | {run['seconds']:.3f} | {run['cpu']:.2f} | {times} | {needs} |")


def inventory(folder: Path, n_files: int) -> None:
    root = write_many(folder, n_files)
    time.sleep(2)  # younger files are not kept
    os.sync()
    print(f"\nThe inventory of {n_files} files\n")
    print("| walk | processes | files a second | and a second of processors | MB of memory |")
    print("|---|---|---|---|---|")
    kept = Path(f"{root}.headers")
    for title, name, processes, times in (
        ("first, nothing kept", "inventory_first", WORKERS, 3),
        ("first, kept", "inventory_kept", WORKERS, 1),
        ("second", "inventory_kept", WORKERS, 3),
        ("headers alone", "inventory_headers", 1, 3),
        ("headers alone, by pydicom", "inventory_pydicom", 1, 1),
        (f"the first {elements.FIRST} bytes alone", "inventory_raw", 1, 3),
        ("names and states alone", "inventory_walk", 1, 3),
    ):
        run = measured(name, root, times)
        rates = " | ".join(f"{run['n'] / run[key]:.0f}" for key in ("seconds", "cpu"))
        print(f"| {title} | {processes} | {rates} | {run['anonymous'] / 1e6:.0f} |")
    size = root.joinpath("P00000", "IM0000").stat().st_size
    needed = size - 2 * 96 * 96
    print(
        f"\nA file has {size} bytes, its header {needed}; read of it: {min(size, elements.FIRST)}. "
        f"Kept: {kept.stat().st_size / n_files:.0f} bytes a file."
    )


def studies(folder: Path, demo: Path, counts: Iterable[int], times: int) -> None:
    print("\nThe demo's patients, from folders to slices\n")
    print("| patients | slices | problems | seconds | of processors | MB of memory |")
    print("|---|---|---|---|---|---|")
    for count in counts:
        manifest = write_study(folder / f"study_{count}", demo, count)
        run = measured("ingest", manifest, times)
        print(
            f"| {run['n']} | {run['slices']} | {run['problems']} | {run['seconds']:.1f} "
            f"| {run['cpu']:.1f} | {run['anonymous'] / 1e6:.0f} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("parts", nargs="*", default=["lesion", "inventory", "ingest", "memory"])
    parser.add_argument("--demo", type=Path, default=Path("data/demo"))
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--child", nargs=2)
    given = parser.parse_args()
    if given.child:
        child(*given.child)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if "lesion" in given.parts:
            lesion(folder / "lesion")
        if "inventory" in given.parts:
            inventory(folder / "inventory", given.files)
        if "ingest" in given.parts:
            studies(folder / "ingest", given.demo, [332], 3)
        if "memory" in given.parts:
            studies(folder / "memory", given.demo, [33, 332, 3320], 1)
    print(f"\n{psutil.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
