# SPDX-License-Identifier: Apache-2.0
"""Nobody draws with a seed or a number of resamples of its own where the parameters have one.

A default in the library shadows the parameter as soon as a caller forgets to pass it, and nothing
fails: two figures of one run then have different intervals. So only what users call by hand has
such defaults, and whatever the stages run passes its own.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

from support import ROOT

DRAWN = ("seed", "resamples", "permutations")
BY_HAND = {"explain", "maximise"}  # with a default seed, for a notebook
CALLERS = ("pipeline", "src/facetell/explain", "src/facetell/report/figures")


def parsed(folder: str) -> Iterator[tuple[Path, ast.AST]]:
    for path in sorted((ROOT / folder).rglob("*.py")):
        yield path.relative_to(ROOT), ast.parse(path.read_text())


def defaults(node: ast.FunctionDef) -> set[str]:
    """Parameters of a function that have a default."""
    named = node.args
    positional = [*named.posonlyargs, *named.args]
    last = positional[len(positional) - len(named.defaults) :]
    keywords = zip(named.kwonlyargs, named.kw_defaults, strict=True)
    return {a.arg for a in last} | {a.arg for a, value in keywords if value is not None}


def test_only_what_is_called_by_hand_has_a_default():
    with_default = {
        node.name
        for _, tree in parsed("src/facetell/explain")
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and defaults(node) & set(DRAWN)
    }
    assert with_default == BY_HAND


def test_stages_pass_the_seed_to_what_has_a_default():
    calls = dict.fromkeys(BY_HAND, 0)
    for folder in CALLERS:
        for path, tree in parsed(folder):
            for node in ast.walk(tree):
                name = getattr(getattr(node, "func", None), "id", None)
                if isinstance(node, ast.Call) and name in BY_HAND:
                    passed = {keyword.arg for keyword in node.keywords}
                    if None in passed:  # hands on whatever it is called with
                        continue
                    calls[name] += 1
                    assert "seed" in passed, f"{path}, line {node.lineno}"
    assert all(calls.values())
