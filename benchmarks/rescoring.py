# SPDX-License-Identifier: Apache-2.0
"""Recomputing every number from stored predictions: time and memory, intervals included.

Run: python -m benchmarks.rescoring [--images 20000] [--models 15] [--suite full] [--resamples 1000]
Predictions of simulated detectors (normal margins, persons with two images each) are written as the
predict stage writes them. Then each model is scored and all are compared in pairs, as the score and
compare stages do, each model in a process of its own, as many at a time as there are processors.
The alternative, timed in the same run on one variant of one model, is a bootstrap that calls
scikit-learn on every draw for the same AUC, AP and F1.
"""

import argparse
import multiprocessing
import os
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from joblib import cpu_count
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from facetell.dataset.stored import read_manifest, write_manifest
from facetell.evaluation.model_scores import margins_of, model_scores
from facetell.evaluation.predictions import read, table, write
from facetell.metrics.evaluate import evaluate
from facetell.metrics.intervals import Resamples
from facetell.metrics.paired_tests import compare

VALID = 1000  # images
DRAWS = 20  # of the alternative, which is too slow for all


def manifest(images: int) -> pd.DataFrame:
    """A test split as the split stage writes it: pairs of a real and a fake of one person."""
    fake = np.arange(images) % 2
    return pd.DataFrame(
        {
            "id": [f"test/{index:06d}.jpg" for index in range(images)],
            "split": "test",
            "label": fake,
            "person": np.arange(images) // 2,
            "generator": np.where(fake == 1, np.where(np.arange(images) % 4 == 1, "a", "b"), ""),
            "psi": np.where(fake == 1, 0.7, np.nan),
            "artefacts": "",
            "platform": "presocial",
            "set": "simulated",
        }
    )


def predictions(home: Path, rows: pd.DataFrame, model: int, variants: dict) -> None:
    """Write what a detector of its own strength would have said of every variant."""
    random = np.random.default_rng(model)
    shift, labels = 2 + 0.1 * model, rows["label"].to_numpy()
    scores = {
        name: random.normal(size=len(rows)) + shift * 0.98**at * (labels - 0.5)
        for at, name in enumerate(["clean", *variants])
    }
    halves = np.arange(VALID) % 2
    clean = {"clean": random.normal(size=VALID) + shift * (halves - 0.5)}
    valid = table("valid", [f"v{index}" for index in range(VALID)], halves, clean)
    test = table("test", rows["id"].tolist(), labels, scores)
    metadata = {name: variant.metadata for name, variant in variants.items()}
    write(home / f"{model}.parquet", pd.concat([valid, test]), threshold=0.1, variants=metadata)


def peak() -> float:
    """Peak memory of this process in MiB; ru_maxrss would start at that of its parent."""
    status = Path("/proc/self/status")
    if not status.exists():  # not on Linux; torch, which this imports, counts too
        from facetell.training.cost import peak_memory

        return peak_memory()
    return int(status.read_text(encoding="utf-8").split("VmHWM:")[1].split()[0]) / 1024


def scored(home: Path, resamples: int, model: int) -> tuple[float, float]:
    """Seconds of one model and the peak memory of its process in MiB."""
    started = time.perf_counter()
    rows = read_manifest(home / "manifest")
    model_scores(read(home / f"{model}.parquet"), rows, resamples=resamples, seed=0)
    return time.perf_counter() - started, peak()


def compared(home: Path, resamples: int, models: int) -> tuple[float, float]:
    """The same of the paired tests of all models."""
    started = time.perf_counter()
    rows = read_manifest(home / "manifest")
    margins, thresholds = {}, {}
    for model in range(models):
        found = read(home / f"{model}.parquet")
        margins[str(model)] = margins_of(found, rows, "clean")
        thresholds[str(model)] = found.threshold
    compare(
        rows["label"].to_numpy(),
        margins,
        thresholds,
        Resamples(rows["person"], resamples=resamples),
    )
    return time.perf_counter() - started, peak()


def alternative(home: Path, resamples: int) -> tuple[float, float]:
    """Seconds per variant of scikit-learn on every draw, and of ours for the same three numbers
    and all the others."""
    rows = read_manifest(home / "manifest")
    found = read(home / "0.parquet")
    labels, margins = rows["label"].to_numpy(), margins_of(found, rows, "clean")
    started = time.perf_counter()
    random = np.random.default_rng(0)
    for _ in range(DRAWS):
        pairs = random.integers(len(rows) // 2, size=len(rows) // 2)
        drawn = np.concatenate([2 * pairs, 2 * pairs + 1])
        roc_auc_score(labels[drawn], margins[drawn])
        average_precision_score(labels[drawn], margins[drawn])
        f1_score(labels[drawn], margins[drawn] >= found.threshold)
    theirs = (time.perf_counter() - started) * resamples / DRAWS
    started = time.perf_counter()
    evaluate(labels, margins, found.threshold, Resamples(rows["person"], resamples=resamples))
    return theirs, time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--models", type=int, default=15)
    parser.add_argument("--suite", default="full")
    parser.add_argument("--resamples", type=int, default=1000)
    options = parser.parse_args()
    from facetell.evaluation.perturbations import (
        suite,  # here: its torch would count in every process
    )

    config = Path("conf/config.yaml").read_text(encoding="utf-8")
    suites = yaml.safe_load(config)["predict"]["suites"]
    variants = suite(suites, options.suite)
    print(f"{options.images:,} images x {1 + len(variants)} variants x {options.models} models")
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        rows = manifest(options.images)
        write_manifest(home / "manifest", rows)
        for model in range(options.models):
            predictions(home, rows, model, variants)
        theirs, ours = alternative(home, options.resamples)
        started = time.perf_counter()
        os.environ["OMP_NUM_THREADS"] = "1"  # the processes share the cores already
        fresh = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(cpu_count(), mp_context=fresh, max_tasks_per_child=1) as processes:
            each = list(
                processes.map(partial(scored, home, options.resamples), range(options.models))
            )
            pairs = processes.submit(compared, home, options.resamples, options.models).result()
        total = time.perf_counter() - started
    seconds, memory = zip(*each, strict=True)
    print(f"score: {np.mean(seconds):.1f} s per model, peak {max(memory):,.0f} MiB per process")
    print(f"compare: {pairs[0]:.1f} s, peak {pairs[1]:,.0f} MiB")
    print(f"all: {total:.0f} s")
    print(f"one variant: {ours:.2f} s; scikit-learn on every draw: {theirs:.1f} s")
    print(f"facetell is {theirs / ours:.0f} x faster, with more numbers")


if __name__ == "__main__":
    main()
