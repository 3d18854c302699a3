"""What a study is: its centres, its endpoint and where its files lie."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Literal, get_args, overload

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_core import ErrorDetails

from hcc_utils import checks
from hcc_utils.study import cohort, folders, results, vocabulary
from hcc_utils.study.document import Document, Key

Endpoint = Literal[
    "aggressive_pd",
    "extrahepatic_metastasis",
    "macrovascular_invasion",
    "progression",
    "recurrence",
    "death",
]
Needed = Literal["table", "codebook"]
Model = Literal["cs", "d", "csd"]
Extra = Literal["dicom", "roi", "checksums", "landmarks"]

# folders of results/<study>/ that are no centre's
_RESERVED = (
    "development",
    *results.TOGETHER.values(),
    "bundle",
    "book",
    "book_src",
    "fingerprints",
    "privacy",
)


def _name(text: str) -> str:
    """A name that can be a folder on every system."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,63}", text):
        raise ValueError("must be a name of small letters, digits, _ and - (it becomes a folder)")
    if text in _RESERVED:
        raise ValueError(f"must not be one of {', '.join(_RESERVED)}: results use these folders")
    return text


def _words(text: str) -> str:
    """Text that says something."""
    if not text.strip():
        raise ValueError("must not be empty")
    return text


def _uid(text: str) -> str:
    """A DICOM UID."""
    if not re.fullmatch(r"[0-9.]{1,64}", text):
        raise ValueError("must be a SeriesInstanceUID: digits and dots, at most 64")
    return text


def _pattern(text: str) -> str:
    """A regular expression."""
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"must be a regular expression ({error})") from None
    return _words(text)


def _from_to(span: tuple[float, float]) -> tuple[float, float]:
    """Two numbers, the lesser first."""
    if span[0] >= span[1]:
        raise ValueError("must be [from, to], the lesser number first")
    return span


def _percentiles(span: tuple[float, float]) -> tuple[float, float]:
    """Two percentiles, the lesser first."""
    if not 0 <= span[0] < span[1] <= 100:
        raise ValueError("must be [from, to] within 0 and 100, such as [0.5, 99.5]")
    return span


def _chapter(text: str) -> str:
    """A notebook that a study can do without; the cohort is not one."""
    return _known(text, results.STAGES[1:])


def _criterion(text: str) -> str:
    """A rule of the cohort."""
    return _known(text, [rule.name for rule in cohort.RULES])


def _grouping(text: str) -> str:
    """A column whose values can be groups: levels or flags known at baseline, or the hospital."""
    groups = [v.name for v in vocabulary.VARIABLES.values() if v.kind in vocabulary.GROUPING_KINDS]
    return _known(text, [name for name in groups if vocabulary.at_baseline(name)])


def _factor(text: str) -> str:
    """A variable that a clinical model may use: known at baseline."""
    return _known(text, vocabulary.FACTORS)


def _known(text: str, allowed: Sequence[str]) -> str:
    """One of these words."""
    if text not in allowed:
        near = checks.nearest(text, allowed)
        raise ValueError(f"must be one of {', '.join(allowed)}{near}")
    return text


def _location(text: str, info: ValidationInfo) -> str:
    """A path with its ${VARIABLES} filled in; ${MANIFEST_DIR} is the manifest's own folder."""
    known = {**os.environ, "MANIFEST_DIR": info.context["folder"]} if info.context else os.environ
    for variable in re.findall(r"\$\{(\w+)\}", text):
        if not known.get(variable):
            raise ValueError(
                f"needs the environment variable {variable}, which is not set: "
                f"export {variable}=/path/to/the/data"
            )
    return re.sub(r"\$\{(\w+)\}", lambda found: known[found.group(1)], _words(text))


Name = Annotated[str, AfterValidator(_name)]
Words = Annotated[str, AfterValidator(_words)]
Uid = Annotated[str, AfterValidator(_uid)]
Location = Annotated[str, AfterValidator(_location)]
Seconds = Annotated[float, Field(ge=0)]
Pattern = Annotated[str, AfterValidator(_pattern)]
Chapter = Annotated[str, AfterValidator(_chapter)]
Criterion = Annotated[str, AfterValidator(_criterion)]
Grouping = Annotated[str, AfterValidator(_grouping)]
Factor = Annotated[str, AfterValidator(_factor)]


class _Part(BaseModel):
    """Strict: a number is no text, and an unknown key is refused."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Roi(_Part):
    """Who drew the lesions, and in which form they lie on disk."""

    source: Literal["seg", "rtstruct", "nifti", "sr", "boxes"]
    path: Location


class SeriesRule(_Part):
    """
    How the portal-venous series is told from a patient's others: all that is said must hold.

    ``drawn_on``: the ROI was drawn on it; ``description``: found in SeriesDescription, capitals or
    not; ``acquisition_number``: of its slices, those; ``delay_s``: after the contrast, from and to.
    """

    drawn_on: bool = False
    description: Pattern | None = None
    acquisition_number: Annotated[int, Field(ge=0)] | None = None
    delay_s: Annotated[tuple[Seconds, Seconds], AfterValidator(_from_to)] | None = None


class ClinicalPlan(_Part):
    """A clinical model in place of Models CS, D and CSD: its factors, named before any fit."""

    factors: Annotated[tuple[Factor, ...], Field(min_length=1)]
    horizon_months: Annotated[int, Field(gt=0, le=120)]

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the table that the factors are made of."""
        made_of = (vocabulary.DERIVED.get(name, ("", name))[1] for name in self.factors)
        return tuple(dict.fromkeys(made_of))


class NetworkPlan(_Part):
    """
    How Model D's network is trained, where otherwise than by default.

    ``members``: trainings of each network under other seeds, whose mean is the score;
    ``window_percentiles``: ends of the window, of each training part's own intensities.
    """

    members: Annotated[int, Field(gt=0)] = 1
    window_percentiles: Annotated[tuple[float, float], AfterValidator(_percentiles)] | None = None


class Centre(_Part):
    """One hospital: its part in the study and where its files lie."""

    title: Words
    role: Literal["development", "validation"]
    table: Location
    sheet: Words | None = None
    codebook: Location
    dicom: Location | None = None
    roi: Roi | None = None
    series: dict[str, Uid] = {}
    series_rule: SeriesRule | None = None
    checksums: Location | None = None
    landmarks: Location | None = None
    source: Words | None = None

    @field_validator("table")
    @classmethod
    def _readable(cls, table: str) -> str:
        """A table in one of the two forms that are read."""
        if Path(table).suffix.lower() not in (".csv", ".xlsx"):
            raise ValueError("must be a .csv or .xlsx file")
        return table

    @field_validator("sheet")
    @classmethod
    def _of_a_workbook(cls, sheet: str | None, info: ValidationInfo) -> str | None:
        """A sheet only where the table has sheets."""
        if sheet and str(info.data.get("table", "")).lower().endswith(".csv"):
            raise ValueError("is for .xlsx tables; a .csv table has no sheets")
        return sheet


class Manifest(_Part):
    """
    A study: its question, its centres and where their files lie.

    Paths are as the manifest has them, with environment variables filled in; `path` gives each
    file's full path.
    """

    study: Name
    title: Words
    synthetic: bool
    endpoint: Endpoint
    time_zero: Literal["initial treatment", "ct", "not stated"]
    seed: Annotated[int, Field(ge=0, lt=2**32)]
    protocol: Literal["leak_free"] = "leak_free"
    ethics: Words
    funding: Words
    data_root: Location
    centres: Annotated[dict[Name, Centre], Field(min_length=1)]
    chapters_left_out: dict[Chapter, Words] = {}
    criteria_left_out: dict[Criterion, Words] = {}
    criteria_lifted: dict[Criterion, Words] = {}
    models_left_out: dict[Model, Words] = {}
    clinical_model: ClinicalPlan | None = None
    network: NetworkPlan = NetworkPlan()
    demonstrate_with: Name | None = None
    table_one_by: tuple[Grouping, ...] = ()
    survival_by: tuple[Grouping, ...] = ()
    endpoint_note: Words | None = None
    censoring: Words | None = None
    citation: Words | None = None
    public: bool = False
    rows_at_one_site: bool = False
    strict: bool = False
    _source: Path = PrivateAttr(default=Path())

    @field_validator("clinical_model")
    @classmethod
    def _in_place_of_the_others(
        cls, plan: ClinicalPlan | None, info: ValidationInfo
    ) -> ClinicalPlan | None:
        """A clinical model only where nothing else is modelled, and nobody waits for a bundle."""
        if plan is None:
            return plan
        if set(info.data.get("models_left_out", {})) != set(get_args(Model)):
            raise ValueError("needs models_left_out to name cs, d and csd, each with its reason")
        if any(centre.role == "validation" for centre in info.data.get("centres", {}).values()):
            raise ValueError("is for development centres alone; this version does not freeze it")
        return plan

    @field_validator("data_root")
    @classmethod
    def _from_the_manifest(cls, data_root: str, info: ValidationInfo) -> str:
        """The data's folder, counted from the manifest's own."""
        return str(Path(info.context["folder"] if info.context else ".") / data_root)

    @classmethod
    def read(cls, path: Path | str) -> Manifest:
        """
        The study that a YAML file describes.

        Parameters
        ----------
        path : pathlib.Path or str
            Such as ``data_manifest.yaml``.

        Returns
        -------
        Manifest
            Frozen.

        Raises
        ------
        Problems
            All that is wrong with it, each with file, line, key and rule.
        """
        document = Document(Path(path))
        folder = str(Path(path).resolve().parent)
        try:
            manifest = cls.model_validate(document.data, context={"folder": folder})
        except ValidationError as error:
            for detail in error.errors(include_url=False):
                _refuse(document, detail)
        document.finish()
        manifest._source = Path(path).resolve()
        return manifest

    @property
    def source(self) -> Path:
        """The file that this manifest was read from."""
        return self._source

    @property
    def horizon_months(self) -> int | None:
        """The months within which the compared models' event counts; None: whenever it came."""
        return self.clinical_model.horizon_months if self.clinical_model else None

    @property
    def development(self) -> tuple[str, ...]:
        """Names of the centres on whose patients models are fitted."""
        return self._with_role("development")

    @property
    def validation(self) -> tuple[str, ...]:
        """Names of the centres that only see the frozen model."""
        return self._with_role("validation")

    def hospitals(self, group: str) -> tuple[str, ...]:
        """
        The hospitals whose patients run together.

        Parameters
        ----------
        group : str
            ``development``, or one validation centre.

        Returns
        -------
        tuple of str
            All development hospitals, or that centre alone.
        """
        return self.development if group == "development" else (group,)

    def centre(self, name: str) -> Centre:
        """
        One centre.

        Parameters
        ----------
        name : str
            As in the manifest.

        Returns
        -------
        Centre
            Its role and files.

        Raises
        ------
        InputError
            If the manifest has no such centre; the nearest is suggested.
        """
        return self.centres[checks.one_of("centre", name, self.centres)]

    @overload
    def path(self, centre: str, which: Needed) -> Path: ...

    @overload
    def path(self, centre: str, which: Extra) -> Path | None: ...

    def path(self, centre: str, which: Needed | Extra) -> Path | None:
        """
        Where a file or folder of a centre lies.

        Parameters
        ----------
        centre : str
            A centre's name.
        which : {"table", "codebook", "dicom", "roi", "checksums", "landmarks"}
            Which of its files.

        Returns
        -------
        pathlib.Path or None
            Its full path (nothing says yet that it exists); None where the manifest names none.
        """
        named = getattr(self.centre(centre), which)
        if named is None:
            return None
        return Path(self.data_root) / (named.path if isinstance(named, Roi) else named)

    def folders(self, centre: str) -> frozenset[str]:
        """
        Names of the patients who have folders below a centre's DICOM root.

        Parameters
        ----------
        centre : str
            A centre's name.

        Returns
        -------
        frozenset of str
            One a patient, named by patient_id; empty folders and loose files do not count. None
            where the manifest names no root.

        Raises
        ------
        Problems
            If the root is no folder.
        """
        root = self.path(centre, "dicom")
        if root is None:
            return frozenset()
        if not root.is_dir():
            rule = "the DICOM root must be a folder that exists"
            where = f"centres.{centre}.dicom: {self.centre(centre).dicom}"
            raise checks.Problems([checks.Problem(where, rule)])
        return frozenset(folders.patient_folders(root))

    def _with_role(self, role: str) -> tuple[str, ...]:
        """Names of the centres that have this role, in the manifest's order."""
        return tuple(name for name, centre in self.centres.items() if centre.role == role)


def _refuse(document: Document, detail: ErrorDetails) -> None:
    """Keep what pydantic found, in the project's own words."""
    key: Key = tuple(part for part in detail["loc"] if part != "[key]")
    context = detail.get("ctx", {})
    kind = detail["type"]
    if kind == "extra_forbidden":
        rule = "is not a key that is known here" + checks.nearest(str(key[-1]), _keys(key[:-1]))
    elif kind == "literal_error":
        allowed = _choices(context["expected"])
        rule = f"must be one of {', '.join(allowed)}"
        rule += f"; got {detail['input']!r}" + checks.nearest(str(detail["input"]), allowed)
    elif kind == "value_error":
        rule = str(context["error"])
    else:
        rule = _RULES.get(kind, "cannot be read; see the manifest of the demo for the form")
    document.refuse(key, rule)


_RULES = {
    "missing": "is needed and is not there",
    "string_type": 'must be text; write it in quotes, such as "12"',
    "bool_type": "must be true or false",
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "greater_than_equal": "must be 0 or more",
    "greater_than": "must be above 0",
    "less_than_equal": "must be at most 120",
    "tuple_type": "must be a list, such as [child_pugh, bclc]",
    "less_than": "must be less than 4294967296",
    "dict_type": "must hold keys and values (key: value)",
    "model_type": "must hold keys and values (key: value)",
    "too_short": "must name at least one",
}


def _choices(expected: str) -> list[str]:
    """The words of pydantic's "'a', 'b' or 'c'"."""
    return re.findall(r"'([^']*)'", expected)


def _keys(key: Key) -> Iterable[str]:
    """The keys that are known at this place."""
    if not key:
        return Manifest.model_fields
    parts: dict[object, type[_Part]] = {
        "roi": Roi,
        "series_rule": SeriesRule,
        "clinical_model": ClinicalPlan,
        "network": NetworkPlan,
    }
    return parts.get(key[-1], Centre).model_fields
