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
TESTING = [Requirement(line) for line in PROJECT["optional-dependencies"]["test"]]


def locked() -> dict[str, set[str]]:
    """Each locked package's versions: a universal lock may hold several, by marker."""
    found: dict[str, set[str]] = {}
    lines = (ROOT / "requirements.lock").read_text("utf-8")
    for name, version in re.findall(r"^([\w.-]+)==([^\s;\\]+)", lines, re.MULTILINE):
        found.setdefault(canonicalize_name(name), set()).add(version)
    return found


def conda_pip() -> list[str]:
    """The pip list of environment.yml."""
    content = yaml.safe_load((ROOT / "environment.yml").read_text("utf-8"))
    return next(item["pip"] for item in content["dependencies"] if isinstance(item, dict))


LOCK = locked()


@pytest.mark.parametrize("wanted", [r for r in RUNTIME + TESTING if r.name != "torch"], ids=str)
def test_the_lock_satisfies_pyproject(wanted):
    versions = LOCK[canonicalize_name(wanted.name)]
    assert any(wanted.specifier.contains(version) for version in versions)


def test_torch_and_the_gpu_stay_outside_the_lock():
    assert not [n for n in LOCK if n in ("torch", "triton") or n.startswith(("nvidia", "cuda"))]


def test_every_locked_package_has_a_hash():
    text = (ROOT / "requirements.lock").read_text("utf-8")
    entries = re.split(r"^(?=[\w.-]+==)", text, flags=re.MULTILINE)[1:]
    assert len(entries) > 100
    assert all("--hash=sha256:" in entry for entry in entries)


def test_conda_installs_what_the_lock_installs():
    pinned = {canonicalize_name(r.name): r for r in map(Requirement, conda_pip()[:-1])}
    assert set(pinned) == {canonicalize_name(r.name) for r in RUNTIME}
    for name, requirement in pinned.items():
        expected = LOCK.get(name, {"2.13.0"})
        assert any(requirement.specifier.contains(version) for version in expected), name


def test_conda_installs_the_project_itself_without_hashes():
    assert conda_pip()[-1] == "-e ."
    assert not any("--hash" in line for line in conda_pip())


def test_torch_is_pinned_the_same_everywhere():
    torch = next(str(r) for r in RUNTIME if r.name == "torch")
    assert torch in conda_pip()
    assert f"TORCH   := {torch}" in (ROOT / "Makefile").read_text("utf-8")
