"""fastctc beside the decoders it is compared with, in one process: ``python -m bench.peers [--frames FILE.npy]``.

Rounds go through all candidates in turn, so that a busy machine slows all of them; medians are shown, and ratios to
fastctc from the same rounds. Every candidate gets its input in its own layout before the clock starts.
"""

import argparse
import importlib
import os
import time
from collections.abc import Callable
from statistics import median

import numpy as np

from bench import workloads
from fastctc import BeamSearch, BestPath, NGram, backends, ctc_loss

Work = Callable[[], object]


def optional(name: str):
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        return importlib.import_module(name)
    except ImportError:
        print(f"({name} is not installed: left out)")
        return None


def measure(candidates: dict[str, Work], seconds: float) -> dict[str, float]:
    """Median seconds of each candidate, over rounds through all of them."""
    repeats = {}
    for name, work in candidates.items():
        work()
        start = time.perf_counter()
        work()
        repeats[name] = max(1, min(500, int(0.01 / (time.perf_counter() - start))))
    times: dict[str, list[float]] = {name: [] for name in candidates}
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(next(iter(times.values()))) < 7:
        for name, work in candidates.items():
            work()  # after the others the caches are cold, and memory has to be asked for again
            start = time.perf_counter()
            for _ in range(repeats[name]):
                work()
            times[name].append((time.perf_counter() - start) / repeats[name])
    return {name: median(values) for name, values in times.items()}


def show(title: str, times: dict[str, float]) -> None:
    first = next(iter(times.values()))
    print(f"\n{title}\n")
    print(f"| {'decoder':48} | {'median ms':>10} | {'ratio':>8} |")
    print(f"|{'-' * 50}|{'-' * 11}:|{'-' * 9}:|")
    for name, value in times.items():
        print(f"| {name:48} | {value * 1e3:10.4f} | {value / first:8.2f} |")


def blank_first(probs: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(np.roll(probs.astype(np.float32), 1, axis=-1))


def best_path(frames: np.ndarray, title: str, seconds: float, fcd) -> None:
    n_classes = frames.shape[-1]
    decoder = BestPath(workloads.alphabet(n_classes), exact=False)
    exact = BestPath(workloads.alphabet(n_classes))
    batch = frames.ndim == 3
    function = backends.load("compiled", "best_path").best_path
    candidates: dict[str, Work] = {
        "fastctc.compiled.best_path": (lambda: [function(f, n_classes - 1) for f in frames])
        if batch
        else (lambda: function(frames, n_classes - 1)),
        "fastctc.BestPath, exact=False": (lambda: decoder.decode_batch(frames))
        if batch
        else (lambda: decoder.decode(frames)),
        "fastctc.BestPath": (lambda: exact.decode_batch(frames)) if batch else (lambda: exact.decode(frames)),
        "numpy.argmax": lambda: np.argmax(frames, axis=-1),
    }
    if fcd:
        letters = [chr(0x100 + i) for i in range(n_classes)]
        probs = blank_first(np.exp(frames))
        candidates["fast_ctc_decode.viterbi_search"] = (
            (lambda: [fcd.viterbi_search(p, letters) for p in probs])
            if batch
            else (lambda: fcd.viterbi_search(probs, letters))
        )
    show(title, measure(candidates, seconds))


def beam_search(frames: np.ndarray, beam_width: int, title: str, seconds: float, fcd, tf) -> None:
    n_classes = frames.shape[1]
    decoder = BeamSearch(workloads.alphabet(n_classes), beam_width, exact=False)
    exact = BeamSearch(workloads.alphabet(n_classes), beam_width)
    candidates: dict[str, Work] = {
        "fastctc.BeamSearch, exact=False": lambda: decoder.decode(frames),
        "fastctc.BeamSearch": lambda: exact.decode(frames),
    }
    if fcd:
        letters = [chr(0x100 + i) for i in range(n_classes)]
        probs = blank_first(np.exp(frames))
        for cut in (0.0, 1e-3):
            candidates[f"fast_ctc_decode.beam_search, cut {cut:g}"] = lambda cut=cut: fcd.beam_search(
                probs, letters, beam_size=beam_width, beam_cut_threshold=cut
            )
    if tf:
        inputs, lengths = tf.constant(frames[:, None].astype(np.float32)), tf.constant([len(frames)])
        candidates["tf.nn.ctc_beam_search_decoder"] = lambda: tf.nn.ctc_beam_search_decoder(
            inputs, lengths, beam_width=beam_width, top_paths=1
        )
    show(f"{title}, beam width {beam_width}", measure(candidates, seconds))


def character_model(frames: np.ndarray, title: str, seconds: float) -> None:
    alphabet = workloads.alphabet(frames.shape[1])
    candidates: dict[str, Work] = {}
    for order in (0, 2, 5):
        lm = NGram.train(workloads.text(alphabet.characters), order, vocabulary=alphabet.characters) if order else None
        decoder = BeamSearch(alphabet, 25, lm=lm, exact=False)
        candidates[f"fastctc.BeamSearch, {order}-gram" if order else "fastctc.BeamSearch, no model"] = (
            lambda decoder=decoder: decoder.decode(frames)
        )
    show(f"{title}, beam width 25, with a character model", measure(candidates, seconds))


def prefix_search(frames: np.ndarray, title: str, seconds: float) -> None:
    """All frames, of which the reference gets what it can do in seconds."""
    probs = np.exp(frames.astype(np.float64))
    cut = np.array_split(probs, 3)
    rows = [part.tolist() for part in cut]
    compiled, reference = (backends.load(name, "prefix_search").prefix_search for name in ("compiled", "reference"))
    blank = frames.shape[1] - 1
    candidates: dict[str, Work] = {
        "fastctc.compiled.prefix_search": lambda: [compiled(part, blank, 1, 10**6) for part in cut],
        "fastctc.reference.prefix_search": lambda: [reference(part, blank, 1, 10**6) for part in rows],
    }
    show(f"{title}, prefix search in thirds", measure(candidates, seconds))


def loss(size: int, seconds: float, torch) -> None:
    rng = np.random.default_rng(1)
    texts = [tuple(int(label) for label in rng.integers(0, 79, 40)) for _ in range(size)]
    frames = np.stack([workloads.spelled(text, 100, 80, seed) for seed, text in enumerate(texts)])
    alphabet = workloads.alphabet(80)
    candidates: dict[str, Work] = {
        "fastctc.ctc_loss": lambda: ctc_loss(frames, texts, alphabet),
        "fastctc.ctc_loss, threads=2": lambda: ctc_loss(frames, texts, alphabet, threads=2),
    }
    if torch:
        torch.set_num_threads(1)
        inputs = torch.from_numpy(np.ascontiguousarray(frames.transpose(1, 0, 2)))
        lengths = torch.full((size,), 100), torch.full((size,), 40)
        candidates["torch.nn.functional.ctc_loss, float32"] = lambda: torch.nn.functional.ctc_loss(
            inputs, torch.tensor(texts), *lengths, blank=79, reduction="none"
        )
    show(f"CTC loss of {size} x 100x80 with 40 characters", measure(candidates, seconds))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", metavar="FILE", help="log probabilities (frames, classes), the blank last")
    parser.add_argument("--seconds", type=float, default=5.0, help="for each table (default: %(default)s)")
    options = parser.parse_args()
    fcd, tf, torch = optional("fast_ctc_decode"), optional("tensorflow"), optional("torch")
    if tf:
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    for name, size in workloads.SIZES.items():
        best_path(workloads.peaky(*size), f"Best path, peaky {name}", options.seconds, fcd)
    best_path(workloads.batch(), "Best path, batch of 64 x 100x80", options.seconds, fcd)
    sequences = {"peaky 100x80": workloads.peaky(100, 80)}
    if options.frames:
        sequences[options.frames] = np.load(options.frames)
    for name, frames in sequences.items():
        for beam_width in (10, 25, 100):
            beam_search(frames, beam_width, f"Beam search, {name}", options.seconds, fcd, tf)
        character_model(frames, f"Beam search, {name}", options.seconds)
        prefix_search(frames, name, options.seconds)
    for size in (1, 64):
        loss(size, options.seconds, torch)


if __name__ == "__main__":
    main()
