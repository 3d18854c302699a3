"""pyproject.toml is the source; the lock and environment.yml follow it."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
RUNTIME = [Requirement(line) for line in PROJECT["dependencies"]]
EXTRAS = PROJECT["optional-dependencies"]
TESTING = [Requirement(line) for line in EXTRAS["test"]]
TABLES = [Requirement(line) for line in EXTRAS["public-tables"]]


def locked() -> dict[str, str]:
    """Each package's version for Python 3.11: a universal lock holds several, by marker."""
    text = (ROOT / "requirements.lock").read_text("utf-8")
    lines = re.findall(r"^([\w.-]+==[^\\]+?) *\\$", text, re.MULTILINE)
    here = {"python_version": "3.11", "python_full_version": "3.11.9", "sys_platform": "linux"}
    wanted = [Requirement(line) for line in lines]
    return {
        canonicalize_name(r.name): str(r.specifier).removeprefix("==")
        for r in wanted
        if r.marker is None or r.marker.evaluate(here)
    }


def conda_pip() -> list[str]:
    """The pip list of environment.yml."""
    content = yaml.safe_load((ROOT / "environment.yml").read_text("utf-8"))
    return next(item["pip"] for item in content["dependencies"] if isinstance(item, dict))


LOCK = locked()


@pytest.mark.parametrize(
    "wanted", [r for r in RUNTIME + TESTING + TABLES if r.name != "torch"], ids=str
)
def test_the_lock_satisfies_pyproject(wanted):
    assert wanted.specifier.contains(LOCK[canonicalize_name(wanted.name)])


def test_torch_and_the_gpu_stay_outside_the_lock():
    assert not [n for n in LOCK if n in ("torch", "triton") or n.startswith(("nvidia", "cuda"))]


def test_every_locked_package_has_a_hash():
    text = (ROOT / "requirements.lock").read_text("utf-8")
    entries = re.split(r"^(?=[\w.-]+==)", text, flags=re.MULTILINE)[1:]
    assert len(entries) > 100
    assert all("--hash=sha256:" in entry for entry in entries)


def test_conda_installs_what_the_lock_installs():
    pinned = {canonicalize_name(r.name): r for r in map(Requirement, conda_pip()[:-1])}
    assert set(pinned) == {canonicalize_name(r.name) for r in RUNTIME + TABLES}
    for name, requirement in pinned.items():
        assert requirement.specifier.contains(LOCK.get(name, "2.13.0")), name


def test_conda_installs_the_project_itself_without_hashes():
    assert conda_pip()[-1] == "-e ."
    assert not any("--hash" in line for line in conda_pip())


def test_torch_is_pinned_the_same_everywhere():
    torch = next(str(r) for r in RUNTIME if r.name == "torch")
    assert torch in conda_pip()
    assert f"TORCH   := {torch}" in (ROOT / "Makefile").read_text("utf-8")
