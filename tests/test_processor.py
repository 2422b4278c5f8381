"""Every copy of the loops that are compiled for several vector registers, forced one after the other."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

LEVELS = ["baseline", "avx2", "avx512"]
ROOT = Path(__file__).parents[1]

# Prints the level and a digest of all results; sizes go over the ends of vectors of every width.
SCRIPT = """
import hashlib, importlib
import numpy as np
from fastctc.search_inputs import TextGraph

names = ("annotation", "best_path", "frames", "label_choice", "lexicon_search", "morphology", "outside",
         "prefix_search", "text_graph", "viterbi")
modules = [importlib.import_module(f"fastctc.compiled.{name}") for name in names]
annotation, best_path, frames, label_choice, lexicon_search, morphology, outside, *rest = modules
prefix_search, text_graph, viterbi = rest
(level,) = {module.REGISTERS for module in modules}
rng = np.random.default_rng(1)
digest = hashlib.sha256()

def note(result):
    digest.update(result.tobytes() if isinstance(result, np.ndarray) else repr(result).encode())

for dtype in (np.float32, np.float64):
    for width in (*range(1, 36), 63, 64, 65, 80, 257, 1000):
        logits = rng.integers(-4, 5, (8, width)) * 3.0  # ties
        logits[0, 0] = -np.inf if width > 1 else 0.0
        rows = (logits - np.log(np.exp(logits).sum(1, keepdims=True))).astype(dtype)
        spoilt = rows.copy()
        spoilt[5, width // 2] = (np.nan, 1.0, np.inf, 0.002)[width % 4]
        below = rows - np.log(3).astype(dtype)
        for values in (rows, spoilt, below):
            note(best_path.best_path(values, width - 1))
            note(frames.first_bad_row(values))
        for values, is_probs in ((rows, False), (np.exp(rows), True)):
            for part in label_choice.choose_labels(values, is_probs, -6.0):
                note(part)
        note(prefix_search.prefix_search(np.exp(rows[:4]).astype(np.float64), width - 1, 2, 300))
        if width > 2:  # the words 0, 01, 1
            tree = [np.array(a, np.int32) for a in ([0, 1, 1, -1], [2, 2, 3, 3], [0, 1, 2, 3])]
            weights = np.ones(4), np.ones(3)
            found = lexicon_search.lexicon_search(np.exp(rows[:4], dtype=float), *tree, *weights, width - 1, 3, 0.5, 9)
            note(found)
for n in (1, 40, 300):
    logits = rng.integers(-4, 5, (n, 9)) * 3.0
    rows = np.exp(logits - np.log(np.exp(logits).sum(1, keepdims=True)))
    labels = best_path.best_path(np.log(rows), 8)[0]
    note(annotation.annotate([(rows, None, labels, [(0, len(labels) // 2)])], 8))
    note(outside.bound_outside(rows, labels, 8, [(0, 0, len(labels) // 2 + 1, 0.0)], [], False, False))
    note(viterbi.best_alignment(rows, labels[::2], 8, False, 30.0, 1e9, 0, True))
    words = tuple((labels[i : i + 3],) for i in range(0, len(labels), 3))
    graph = TextGraph(words, (2.0,) * len(words), (1.0,) * (len(words) + 1))
    note(text_graph.best_reading(rows, graph, 8, False, 30.0, 1e9, 0))
for dtype in ("uint8", "uint16", "int16", "float32"):
    for width in (1, 2, 7, 15, 16, 17, 31, 32, 33, 63, 64, 65, 130, 200):
        images = rng.integers(0, 9, (2, 37, width)).astype(dtype)
        if dtype == "float32":
            for value in (np.nan, np.inf, -np.inf, -0.0):
                images[rng.random(images.shape) < 0.05] = value
        disk = np.hypot(*np.mgrid[-3:4, -3:4]) <= 3
        for mask in (*(np.ones(size, bool) for size in ((3, 3), (5, 4), (15, 15), (1, 9))), disk):
            for border in ("ignore", "constant", "edge", "reflect"):
                for largest in (False, True):
                    note(morphology.extremes(images, mask, (0, 0), border, 3.0, largest))
print(level, digest.hexdigest())
"""


def run(level):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, "FASTCTC_SIMD": level},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.fixture(scope="module")
def baseline():
    level, digest = run("baseline")
    assert level == "baseline"
    return digest


@pytest.mark.parametrize("wanted", ["avx2", "avx512", ""])
def test_all_copies_give_the_same_bits(wanted, baseline):
    widest, _ = run("")
    level, digest = run(wanted)
    assert level == min(wanted or widest, widest, key=LEVELS.index)
    assert digest == baseline


def test_another_level_is_an_error():
    done = subprocess.run(
        [sys.executable, "-c", "import fastctc.compiled.frames"],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, "FASTCTC_SIMD": "sse5"},
    )
    assert done.returncode == 1
    assert "ValueError: FASTCTC_SIMD must be baseline, avx2 or avx512, got sse5" in done.stderr
