"""A sound study of two hospitals with a table each, to be broken by the tests."""

from __future__ import annotations

from pathlib import Path

import yaml

from hcc_utils.study.manifest import Manifest

HEADER = (
    "PatNo,Age,Sex,Treatment,Size_cm,Cirrhosis,Capsule,Fusion,Inner,AFP,"
    "EHM,MVI,PD,PD_months,Dead,OS"
)
ROWS = (
    "{id}1,61,1,R,3.2,yes,none,0,1,12.5,0,0,0,30,0,30",
    "{id}2,48,2,T,5.5,no,intact,1,0,400,1,0,1,7.5,1,19",
    "{id}3,70,1,T,,no,broken,0,0,n/a,0,1,1,11,0,40",
    "{id}4,55,2,R,2.1,yes,none,0,1,3,0,0,0,18,1,18",
)

CODEBOOK: dict[str, object] = {
    "missing": ["", "n/a"],
    "columns": {
        "patient_id": {"column": "PatNo"},
        "age_years": {"column": "Age"},
        "sex": {"column": "Sex", "codes": {1: "male", 2: "female"}},
        "treatment": {"column": "Treatment", "codes": {"R": "resection", "T": "tace"}},
        "diameter_mm": {"column": "Size_cm", "multiply_by": 10},
        "cirrhosis": {"column": "Cirrhosis", "codes": {"yes": True, "no": False}},
        "capsule": {
            "column": "Capsule",
            "codes": {"none": "absent", "broken": "non_intact", "intact": "intact"},
        },
        "fusion_lesion": {"column": "Fusion"},
        "nodule_in_nodule": {"column": "Inner"},
        "afp_ng_ml": {"column": "AFP"},
        "extrahepatic_metastasis": {"column": "EHM"},
        "macrovascular_invasion": {"column": "MVI"},
        "aggressive_pd": {"column": "PD"},
        "months_to_aggressive_pd": {"column": "PD_months"},
        "death": {"column": "Dead"},
        "months_to_death": {"column": "OS"},
    },
}

MANIFEST: dict[str, object] = {
    "study": "small",
    "title": "A small study",
    "synthetic": True,
    "endpoint": "aggressive_pd",
    "time_zero": "initial treatment",
    "seed": 7,
    "ethics": "none needed: invented rows",
    "funding": "none",
    "data_root": ".",
    "centres": {},
}


def table(prefix: str) -> str:
    """A sound CSV table of four patients whose ids begin with `prefix`."""
    return "\n".join([HEADER, *(row.format(id=prefix) for row in ROWS)]) + "\n"


def centre(name: str, role: str, **more: object) -> dict[str, object]:
    """A centre's entry in the manifest."""
    files = {"table": f"{name}/patients.csv", "codebook": f"{name}/codebook.yaml"}
    return {"title": name.title(), "role": role, **files, **more}


def write(folder: Path, *, manifest: dict[str, object] | None = None) -> Path:
    """The manifest's path, once two sound hospitals a (development) and b, c (validation) stand."""
    roles = {"a": "development", "b": "validation", "c": "validation"}
    for name in roles:
        (folder / name).mkdir(exist_ok=True)
        (folder / name / "patients.csv").write_text(table(name), "utf-8")
        (folder / name / "codebook.yaml").write_text(yaml.safe_dump(CODEBOOK), "utf-8")
    centres = {name: centre(name, role) for name, role in roles.items()}
    path = folder / "data_manifest.yaml"
    content = {**MANIFEST, "centres": centres, **(manifest or {})}
    path.write_text(yaml.safe_dump(content, sort_keys=False), "utf-8")
    return path


def read(folder: Path, **changes: object) -> Manifest:
    """The small study, with changes to its manifest."""
    return Manifest.read(write(folder, manifest=changes))


def codebook(folder: Path, name: str, **columns: object) -> None:
    """Write a centre's codebook again, with columns changed (None: left out)."""
    changed = {**CODEBOOK["columns"], **columns}  # type: ignore[dict-item]
    kept = {key: value for key, value in changed.items() if value is not None}
    text = yaml.safe_dump({**CODEBOOK, "columns": kept}, sort_keys=False)
    (folder / name / "codebook.yaml").write_text(text, "utf-8")
