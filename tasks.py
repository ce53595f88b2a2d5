# SPDX-License-Identifier: Apache-2.0
"""The jobs that are typed most, on every operating system: ``python tasks.py JOB [ARGUMENTS]``.

Where there is make, ``make JOB`` is the same. Everything runs in .venv, which is made on first use.
Arguments are passed to the last command of a job: ``python tasks.py test tests/metrics -x``.
This file needs nothing but Python, and any version of it: it has to say which one is needed.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
STAMP = VENV / ".installed"  # which lock file the environment was made from
OLDEST = (3, 11)
# GB of a finished environment; on Linux torch brings CUDA, with or without a GPU
SIZE = 7 if sys.platform == "linux" else 2
GROWN = 0.1  # GB that are worth a line
CACHES = (".pytest_cache", ".ruff_cache", ".mypy_cache", ".import_linter_cache", "site")


def setup(*arguments: str) -> None:
    """make the environment in .venv (done by the other jobs, too)"""
    if sys.version_info < OLDEST:
        sys.exit(
            f"facetell needs Python {OLDEST[0]}.{OLDEST[1]} or newer, and this is "
            f"{sys.version_info[0]}.{sys.version_info[1]}: choose one with make PYTHON=..., or "
            "call tasks.py with it"
        )
    wanted = _wanted()
    if STAMP.is_file() and STAMP.read_text(encoding="utf-8") == wanted:
        return
    print(_intended(), flush=True)
    if Path(sys.prefix).resolve() != VENV.resolve():
        _must(sys.executable, "-m", "venv", str(VENV), path=os.environ["PATH"])
    with growing(VENV, SIZE):
        _run("python", "-m", "pip", "install", "--requirement", "requirements.lock")
    _run("python", "-m", "pip", "install", "--no-deps", "--editable", ".")
    STAMP.write_text(wanted, encoding="utf-8", newline="\n")


def _intended() -> str:
    """What setup will do, how large that is and how long it takes."""
    if VENV.is_dir():
        return f"Bringing {VENV} up to date; only what has changed is downloaded."
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    count = sum("==" in line for line in lock.splitlines())
    what = "torch with its CUDA libraries" if sys.platform == "linux" else "torch"
    return (
        f"Installing {count} packages into {VENV}: about {SIZE} GB, most of it {what}. This is "
        "done once, and takes 5 to 15 minutes with a usual connection. pip shows what it "
        "downloads; while it then unpacks, a line says from time to time how far it is."
    )


@contextmanager
def growing(folder: Path, expected: float, every: float = 20.0) -> Iterator[None]:
    """Inside the block, print every so many seconds how many of the ``expected`` GB ``folder``
    has, if it has grown: pip is silent while it unpacks."""
    done, start = threading.Event(), gigabytes(folder)

    def watch() -> None:
        last = start
        while not done.wait(every):
            now = gigabytes(folder)
            if now - last >= GROWN:
                print(f"{folder.name}: {now:.1f} of about {expected} GB", flush=True)
                last = now

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()


def gigabytes(folder: Path) -> float:
    """Size of all files below a folder."""
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):  # pip has moved it
                total += os.lstat(os.path.join(root, name)).st_size  # noqa: PTH118
    return total / 1e9


def repro(*arguments: str) -> None:
    """rebuild all results (dvc repro)"""
    setup()
    _run("dvc", "repro", *arguments)


def test(*arguments: str) -> None:
    """lint, and run the tests"""
    lint()
    _run("python", "-m", "pytest", *arguments)


def lint(*arguments: str) -> None:
    """check style, types and the direction of imports"""
    setup()
    _run("ruff", "check", ".")
    _run("ruff", "format", "--check", ".")
    _run("mypy")
    _run("lint-imports")


def params(*arguments: str) -> None:
    """compose conf/ into params.yaml, with Hydra overrides (dvc repro does not do this)"""
    setup()
    _run("python", "-m", "pipeline.compose", *arguments)


def docs(*arguments: str) -> None:
    """build the documentation into site/"""
    setup()
    _run("mkdocs", "build", "--strict", *arguments)


def clean(*arguments: str) -> None:
    """remove the environment and the caches of tools, never data or results"""
    if Path(sys.prefix).resolve() == VENV.resolve():
        sys.exit("this Python is the one in .venv: clean with another")
    for folder in (VENV, *(ROOT / name for name in CACHES), *ROOT.glob("src/*.egg-info")):
        shutil.rmtree(folder, ignore_errors=True)


def show(*arguments: str) -> None:
    """show this list"""
    print("make JOB, or python tasks.py JOB:")
    for name, job in JOBS.items():
        print(f"  {name:8}{job.__doc__}")


JOBS = {
    "help": show,
    "setup": setup,
    "repro": repro,
    "test": test,
    "lint": lint,
    "params": params,
    "docs": docs,
    "clean": clean,
}


def _run(program: str, *arguments: str) -> None:
    """Run a program of the environment; ends this one with its exit status if it fails."""
    print("$", program, *arguments, flush=True)
    path = os.pathsep.join([str(BIN), os.environ.get("PATH", "")])
    found = shutil.which(program, path=path)  # Windows looks programs up in our own PATH
    if found is None:
        sys.exit(f"{program} is not in {BIN}: delete {VENV} and run this again")
    _must(found, *arguments, path=path)


def _must(*command: str, path: str) -> None:
    # text files are UTF-8 on Windows, too, for tools and tests that do not say so themselves
    environment = {**os.environ, "PATH": path, "PYTHONUTF8": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, check=False)
    if done.returncode:
        sys.exit(done.returncode)


def _wanted() -> str:
    """A digest of what the environment is made from."""
    digest = hashlib.sha256()
    for name in ("requirements.lock", "pyproject.toml"):
        digest.update((ROOT / name).read_bytes())
    return digest.hexdigest()


def main(name: str = "help", *arguments: str) -> None:
    if name not in JOBS:
        show()
        sys.exit(f"there is no job {name}")
    JOBS[name](*arguments)


if __name__ == "__main__":
    main(*sys.argv[1:])
