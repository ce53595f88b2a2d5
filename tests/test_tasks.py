# SPDX-License-Identifier: Apache-2.0
"""What tasks.py says while it makes the environment."""

import sys
import time

import tasks


def test_setup_says_what_it_installs(tmp_path, monkeypatch):
    monkeypatch.setattr(tasks, "VENV", tmp_path / ".venv")
    said = tasks._intended()
    lock = (tasks.ROOT / "requirements.lock").read_text()
    assert f"{lock.count('==')} packages" in said
    assert f"about {tasks.SIZE} GB" in said
    assert "minutes" in said
    (tmp_path / ".venv").mkdir()
    assert "up to date" in tasks._intended()


def test_the_stated_size_is_that_of_this_environment():
    """If it is the one that the lock file makes: torch's CUDA libraries are most of it."""
    size = tasks.gigabytes(tasks.Path(sys.prefix)) if sys.prefix != sys.base_prefix else tasks.SIZE
    assert size < 1.3 * tasks.SIZE


def test_an_environment_that_grows_is_reported(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(tasks, "GROWN", 1e-6)
    with tasks.growing(tmp_path, 7, every=0.01):
        (tmp_path / "large").write_bytes(bytes(5000))
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and not (said := capsys.readouterr().out):
            time.sleep(0.01)
    assert said.splitlines()[0] == f"{tmp_path.name}: 0.0 of about 7 GB"
