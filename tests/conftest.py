# SPDX-License-Identifier: Apache-2.0
"""Settings and fixtures of all tests; what they make things with is in tests/support."""

import os
import tempfile
from pathlib import Path

import pandas as pd
import pytest
import torch
from support import built, folder_entries, separable
from support.browser import browser, visit  # noqa: F401  (fixtures)

from facetell.common.labels import SPLITS
from facetell.dataset.stored import read_manifest, write_manifest
from facetell.images.packing import pack

# two test processes share the cores: with more threads each they would only wait for each other
torch.set_num_threads(1)
os.environ["OMP_NUM_THREADS"] = "1"
# what is measured in tests, with one thread, does not count elsewhere
os.environ["XDG_CACHE_HOME"] = str(Path(tempfile.gettempdir()) / "facetell-tests")

# changes torch for good: no doctest is looked for in it (tests run it in a process of its own)
collect_ignore = ["support/standin.py", "support/standin_run.py"]
LONGEST = ("test_contract", "test_cross_tables", "test_queue", "test_export")


@pytest.fixture(scope="session")
def packed_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with manifest, train, valid and test of easily separable images."""
    home = tmp_path_factory.mktemp("packed")
    entries = folder_entries({"train": 24, "valid": 12, "test": 12}, separable)
    manifest = built(home, entries).manifest
    write_manifest(home / "manifest", manifest)
    for split in SPLITS:
        part = manifest[manifest["split"] == split]
        pack([part], {"folder": home / "raw/folder"}, home / split)
    return home


@pytest.fixture
def manifest(packed_set: Path) -> pd.DataFrame:
    return read_manifest(packed_set / "manifest")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="run the tests that take minutes")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    # the longest files first, or one process would wait for the other at the end
    items.sort(key=lambda item: item.path.stem not in LONGEST)
    if not config.getoption("--slow"):
        skip = pytest.mark.skip(reason="slow; runs with pytest --slow")
        for item in items:
            if "slow" in item.keywords:
                item.add_marker(skip)
