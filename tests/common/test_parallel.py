# SPDX-License-Identifier: Apache-2.0
"""Work shared by processes: the order of the results, and files that are opened once."""

import os
from pathlib import Path

from facetell.common.parallel import in_processes, opened


def total(chunk: list[int], offset: int) -> int:
    return sum(chunk) + offset


def test_results_come_in_order_whatever_the_number_of_processes():
    chunks = [[index, index + 1] for index in range(20)]
    expected = [sum(chunk) + 5 for chunk in chunks]
    for workers in (1, 2):
        assert list(in_processes(total, iter(chunks), 5, workers=workers)) == expected


def test_a_file_is_opened_once_and_again_when_it_has_changed(tmp_path, monkeypatch):
    reads = []

    def read(path: Path) -> str:
        reads.append(path)
        return path.read_text()

    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "file").write_text(folder)
    for _ in range(3):
        for folder in ("a", "b"):  # one relative path is not one file
            monkeypatch.chdir(tmp_path / folder)
            assert opened(read, Path("file")) == folder
    assert len(reads) == 2
    (tmp_path / "new").write_text("new")
    os.utime(tmp_path / "new", (1, 1))
    os.replace(tmp_path / "new", "file")
    assert opened(read, Path("file")) == "new"
