# SPDX-License-Identifier: Apache-2.0
"""dvc.yaml names just the code that each stage uses, as the imports in the code tell.

dvc reruns a stage only for what it declares: a forgotten file means stale results, and a
superfluous one means work for nothing.
"""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import yaml
from support import ROOT

STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
SOURCE = "${item.source}"  # the network's own file
NETWORKS = "src/facetell/models/networks/"  # all are registered, one of them is used: SOURCE
# of no consequence for what a stage writes: how it starts and ends, what it says, where files lie
FREE = (
    "pipeline/__init__.py",
    "pipeline/paths.py",
    "pipeline/run_time.py",
    "pipeline/settings.py",
    "pipeline/stage.py",
    "src/facetell/__init__.py",
    "src/facetell/common/errors.py",
    "src/facetell/common/lifetime.py",
    "src/facetell/common/locks.py",
    "src/facetell/common/progress.py",
)


def module_file(name: str) -> str | None:
    """The file of a module of ours, relative to the repository."""
    base = ROOT / ("src" if name.startswith("facetell") else "") / name.replace(".", "/")
    for file in (base.with_suffix(".py"), base / "__init__.py"):
        if file.is_file():
            return file.relative_to(ROOT).as_posix()
    return None


@cache
def imports(file: str) -> frozenset[str]:
    """Files of ours that a file imports anywhere in it, in functions and for types too."""
    found = set()
    for node in ast.walk(ast.parse((ROOT / file).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            home = Path(file).parent.parts[: len(Path(file).parent.parts) - node.level + 1]
            parents = home[home[0] == "src" :] if node.level else ()
            module = ".".join([*parents, *filter(None, [node.module])])
            names = [module, *(f"{module}.{alias.name}" for alias in node.names)]
        else:
            continue
        for name in names:
            if name.split(".")[0] in ("facetell", "pipeline"):
                parts = name.split(".")
                # importing a.b.c runs a and a.b first
                found |= {module_file(".".join(parts[: end + 1])) for end in range(len(parts))}
    return frozenset(found - {None})


def empty(file: str) -> bool:
    """Whether a file has nothing of its own: a docstring, and names that it passes on."""
    return all(
        isinstance(node, ast.Expr | ast.Import | ast.ImportFrom)
        or (isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__")
        for node in ast.parse((ROOT / file).read_text(encoding="utf-8")).body
    )


def used(stage: str) -> set[str]:
    """Files of ours that the commands of a stage need."""
    commands = STAGES[stage].get("do", STAGES[stage])["cmd"]
    commands = [commands] if isinstance(commands, str) else commands
    open_ = [module_file(command.split()[2]) for command in commands]
    seen: set[str] = set()
    while open_:
        file = open_.pop()
        if file not in seen and file not in FREE:
            seen.add(file)
            open_ += [one for one in imports(file) if not one.startswith(NETWORKS)]
    return {file for file in seen if not empty(file)}


def declared(stage: str) -> list[str]:
    """Code among the dependencies of a stage."""
    deps = STAGES[stage].get("do", STAGES[stage])["deps"]
    return [dep for dep in deps if dep.startswith(("src/", "pipeline/", SOURCE))]


def covers(dependency: str, file: str) -> bool:
    return file == dependency or file.startswith(f"{dependency}/")


def superfluous(stage: str) -> Iterator[str]:
    files, deps = used(stage), declared(stage)
    for dep in deps:
        if dep == SOURCE or dep.startswith(NETWORKS):
            if not any(file == "src/facetell/models/factory.py" for file in files):
                yield dep
        elif not any(covers(dep, file) for file in files):
            yield f"{dep} is not used"
        for other in deps:
            if other != dep and covers(other, dep):
                yield f"{dep} is in {other}"


@pytest.mark.parametrize("stage", STAGES)
def test_stages_declare_the_code_that_they_use(stage):
    deps = declared(stage)
    assert sorted(f for f in used(stage) if not any(covers(dep, f) for dep in deps)) == []


@pytest.mark.parametrize("stage", STAGES)
def test_stages_declare_no_other_code(stage):
    assert list(superfluous(stage)) == []


@pytest.mark.parametrize("stage", STAGES)
def test_declared_code_exists(stage):
    for dep in declared(stage):
        assert dep == SOURCE or (ROOT / dep).exists(), dep


def test_stages_of_one_network_depend_on_it():
    """The factory imports every network: the one that is built is a dependency by its own name."""
    for stage, entry in STAGES.items():
        if "src/facetell/models/factory.py" in used(stage) and "foreach" in entry:
            assert SOURCE in declared(stage), stage


def test_networks_need_nothing_that_is_not_declared():
    """What a network of ours imports beside torch must be free, or declared by what builds it."""
    for path in (ROOT / NETWORKS).glob("*.py"):
        needed = imports(path.relative_to(ROOT).as_posix()) - set(FREE)
        needed = {file for file in needed if not empty(file)}
        if path.stem == "spectral":  # the baseline's, whose stage has the whole package
            needed.discard("src/facetell/images/spectra.py")
        assert not needed, path


def test_lazy_imports_and_packages_are_seen(tmp_path, monkeypatch):
    """The finder itself: an import in a function, a package, and a module named by ``from``."""
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    for name, text in {
        "src/facetell/__init__.py": "",
        "src/facetell/a/__init__.py": "from facetell.b import c",
        "src/facetell/b/c.py": "def f():\n    from facetell.d import e\n",
        "src/facetell/d.py": "e = 1",
    }.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    imports.cache_clear()
    try:
        assert "src/facetell/b/c.py" in imports("src/facetell/a/__init__.py")
        assert "src/facetell/d.py" in imports("src/facetell/b/c.py")
    finally:
        imports.cache_clear()
