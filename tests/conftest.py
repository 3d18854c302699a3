"""What many tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="run the tests that take minutes")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--slow"):
        for item in items:
            if "slow" in item.keywords:
                item.add_marker(pytest.mark.skip(reason="takes minutes; run with --slow"))


@pytest.fixture(scope="session")
def hcc_tace_seg_root() -> Path:
    """The folder of the real sample, where it is known."""
    root = os.environ.get("HCC_TACE_SEG_ROOT", "")
    if not Path(root).is_dir() or not root:
        pytest.skip("HCC_TACE_SEG_ROOT does not name a folder: the real sample is not here")
    return Path(root)
