# SPDX-License-Identifier: Apache-2.0
"""A repository with git, dvc and Hydra, whose one stage writes files like those of the pipeline in
seconds: for what reads versions and experiments."""

import sys
from pathlib import Path

from dvc.utils.hydra import compose_and_dump

from support import ROOT
from support.clones import call, commit

CONFIG = """
defaults: [_self_, {data: demo}, {model: one}]
data: {image_size: 64}
headline: a
models: {}
score: {resamples: 50}
train: {seed: 0, epochs: null}
"""
DATA = """
name: NAME
sets: {NAME: {render: {size: "${data.image_size}"}}}
"""
MODEL = """
# @package _global_
model: CHOICE
models: {MODELS}
"""
STAGES = """
stages:
  make:
    cmd: PYTHON make.py
    deps: [make.py]
    params: [data, models, train]
    outs:
      - data/manifest
      - data/predictions/a.parquet
      - data/packed/test
      - plots/roc.csv: {cache: false}
      - metrics/data.json: {cache: false}
      - metrics/models: {cache: false}
      - metrics/explain: {cache: false}
    metrics:
      - metrics/summary.json: {cache: false}
"""
MAKE = Path(__file__).with_name("tiny_stage.py")


def tiny_repository(home: Path) -> Path:
    """Model a, data set demo, run and committed; ``-S model=two`` has models a and b,
    ``-S data=other`` other test images."""
    (home / "conf/data").mkdir(parents=True)
    (home / "conf/model").mkdir()
    (home / "conf/config.yaml").write_text(CONFIG, encoding="utf-8")
    for name in ("demo", "other"):
        text = DATA.replace("NAME", name)
        (home / f"conf/data/{name}.yaml").write_text(text, encoding="utf-8")
    for choice, models in {
        "one": "a: {source: x}",
        "two": "a: {source: x}, b: {source: x}",
    }.items():
        text = MODEL.replace("CHOICE", choice).replace("MODELS", models)
        (home / f"conf/model/{choice}.yaml").write_text(text, encoding="utf-8")
    stages = STAGES.replace("PYTHON make.py", f"'\"{sys.executable}\" make.py'")
    (home / "dvc.yaml").write_text(stages, encoding="utf-8")
    library = f"import sys\n\nsys.path.insert(0, {str(ROOT / 'src')!r})\n"
    (home / "make.py").write_text(library + MAKE.read_text(encoding="utf-8"), encoding="utf-8")
    call(home, "git", "init", "-q", "-b", "main")
    for name, value in (("user.name", "t"), ("user.email", "t@t")):
        call(home, "git", "config", name, value)
    call(home, "dvc", "init", "-q")
    call(home, "dvc", "config", "hydra.enabled", "true")
    call(home, "dvc", "config", "core.analytics", "false")
    (home / ".gitignore").write_text("/data/\n", encoding="utf-8")
    compose_and_dump(home / "params.yaml", str(home / "conf"), None, "config", str(home), [])
    commit(home)
    call(home, "dvc", "repro")
    commit(home)
    return home
