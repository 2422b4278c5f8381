"""Whole processes, as a user starts them: importing, decoding ten thousand files, building a lexicon and a model."""

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from bench import workloads
from bench.compare import material, peers
from bench.compare.measure import Candidate, Row, measure
from fastctc import Lexicon, NGram

PACKAGES = ("fastctc", "fast_ctc_decode", "pyctcdecode", "flashlight.lib.text.decoder", "tensorflow", "torch", "cv2",
            "skimage.morphology", "scipy.ndimage")  # fmt: skip
# What it prints: seconds and largest resident size of a process that has only this child.
METER = """
import resource, subprocess, sys, time
start = time.perf_counter()
code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode
print(time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, code)
"""


def process(seconds: float, quick: bool) -> list[Row]:
    return _imports(3 if quick else 7) + _files(1000 if quick else 10_000) + _building(seconds)


def _run(command: list[str]) -> tuple[float, float]:
    """Seconds, and MB at the most."""
    done = subprocess.run([sys.executable, "-c", METER, *command], capture_output=True, text=True, check=True)
    taken, peak, code = done.stdout.split()
    if code != "0":
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr}")
    return float(taken), float(peak) / 1024


def _imports(rounds: int) -> list[Row]:
    found: dict[str, list[tuple[float, float]]] = {}
    for _ in range(rounds):
        for name in PACKAGES:
            if name == "fastctc" or peers.optional(name):
                found.setdefault(name, []).append(_run([sys.executable, "-c", f"import {name}"]))
        found.setdefault("(nothing: Python)", []).append(_run([sys.executable, "-c", ""]))
    return [_row("process", "import in a new process", name, "", [taken for taken, _ in runs],
                 [taken for taken, _ in found["fastctc"]], peak=max(peak for _, peak in runs))
            for name, runs in found.items()]  # fmt: skip


def _files(count: int) -> list[Row]:
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        frames = Path(folder) / "frames"
        frames.mkdir()
        alphabet = Path(folder) / "alphabet.txt"
        alphabet.write_text("\n".join(workloads.alphabet(80).characters), encoding="utf-8")
        for number in range(count):
            np.save(frames / f"{number:05d}.npy", workloads.peaky(100, 80, number % 100 + 1))
        first: list[float] = []
        for decoder in ("best-path", "beam-search"):
            for threads in (1, 2):
                command = [sys.executable, "-m", "fastctc", "decode", str(frames), "--alphabet", str(alphabet),
                           "--decoder", decoder, "--threads", str(threads)]  # fmt: skip
                runs = [_run(command) for _ in range(3)]
                times = [taken for taken, _ in runs]
                first = first or times
                rows.append(_row("process", f"fastctc decode, {count} files of 100x80", "fastctc",
                                 f"{decoder}, {threads} thread{'s' * (threads > 1)}", times, first,
                                 peak=max(peak for _, peak in runs),
                                 per_second=count / float(np.median(times))))  # fmt: skip
    return rows


def _building(seconds: float) -> list[Row]:
    alphabet = workloads.alphabet(80)
    rng = np.random.default_rng(1)
    letters = np.array([c for c in alphabet.characters if c.isalpha()])
    words = sorted({"".join(rng.choice(letters, int(n))) for n in rng.integers(3, 11, 100_000)})
    corpus = material.prose()[0]
    rows = measure("process", f"building a lexicon of {len(words)} words",
                   [Candidate("fastctc", "Lexicon.from_words", lambda: Lexicon.from_words(words, alphabet)),
                    *_peer_lexica(words)], seconds)  # fmt: skip
    models = [Candidate("fastctc", "NGram.train, 3-gram of words", lambda: NGram.train(corpus, 3, unit="word")),
              Candidate("fastctc", "NGram.train, 6-gram of characters", lambda: NGram.train(corpus, 6))]  # fmt: skip
    return rows + measure("process", f"training a language model on {len(corpus.split())} words", models, seconds)


def _peer_lexica(words: list[str]) -> list[Candidate]:
    found = []
    if module := peers.optional("pyctcdecode"):
        labels = [*workloads.alphabet(80).characters, ""]
        found.append(Candidate("pyctcdecode", "build_ctcdecoder(unigrams)",
                               lambda: module.build_ctcdecoder(labels, unigrams=words)))  # fmt: skip
    lib = peers.optional("flashlight.lib.text.decoder")
    if lib:
        alphabet = workloads.alphabet(80)

        def trie() -> Any:
            built = lib.Trie(80, 0)
            for number, word in enumerate(words):
                built.insert(list(alphabet.encode(word)), number, 0.0)
            built.smear(lib.SmearingMode.MAX)
            return built

        found.append(Candidate("flashlight", "Trie.insert, smear", trie))
    return found


def _row(section: str, work: str, who: str, settings: str, times: list[float], first: list[float], **more: Any) -> Row:
    low, middle, high = (1e3 * float(x) for x in np.percentile(times, [25, 50, 75]))
    print(f"{section}, {work}: {who} {settings}: {middle:.4g} ms", flush=True)
    return {"section": section, "work": work, "who": who, "settings": settings, "ms": middle, "low": low, "high": high,
            "ratio": float(np.median(times) / np.median(first)), "rounds": len(times), **more}  # fmt: skip
