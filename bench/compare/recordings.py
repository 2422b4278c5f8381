"""Forced alignment of recordings: seconds, memory and places, each in a process of its own.

    python -m bench.compare.recordings [--minutes M …] [--python PEER=PYTHON …] [PEER …]

PYTHON is one that has the peer (torch and torchaudio, or ctc-segmentation); by default it is this one. Each run
loads the frames from a file; seconds are those of the alignment alone, and memory is what it takes beside the frames
and the libraries (Linux only).
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from bench import workloads

METER = """
import json, sys, time
from pathlib import Path
import numpy as np
frames, labels = np.load(sys.argv[1]), np.load(sys.argv[2])
{prepare}
def memory(name):
    return float(Path("/proc/self/status").read_text().split(name + ":")[1].split()[0]) / 1024
Path("/proc/self/clear_refs").write_text("5")  # forget the high water so far
before, start, cpu = memory("VmRSS"), time.perf_counter(), time.process_time()
{align}
taken = time.perf_counter() - start, time.process_time() - cpu, memory("VmHWM") - before
{starts}
print(json.dumps([*taken, [int(x) for x in starts]]))
"""

OF_PATH = """
path = np.asarray(path).reshape(-1)
starts = np.flatnonzero((path != 0) & (path != np.concatenate([[0], path[:-1]])))
"""

# What prepares, what is measured, and where the labels begin. forced_align gives probabilities too, the others do not.
PEERS = {
    "fastctc": (
        "from fastctc.align.alignment import align_labels\nfrom fastctc.frames import Frames\n"
        "labels = tuple(labels.tolist())",
        "found = align_labels(Frames(frames, True), labels, 0)",
        "starts = found[1]",
    ),
    "fastctc, forced_align": (
        "from fastctc import Alphabet, forced_align\nlabels = labels.tolist()\n"
        "alphabet = Alphabet('abcdefghijklmnopqrstuvwxyz .,?!', blank=0)",
        "found = forced_align(frames, labels, alphabet)",
        "starts = [character.first for character in found.characters]",
    ),
    "torchaudio": (
        "import torch, torchaudio\ntorch.set_num_threads(1)\n"
        "frames, labels = torch.from_numpy(frames)[None], torch.from_numpy(labels)[None]",
        "path, _ = torchaudio.functional.forced_align(frames, labels, blank=0)",
        OF_PATH,
    ),
    "ctc-segmentation": (
        "import ctc_segmentation as c\n"
        "config = c.CtcSegmentationParameters(char_list=[str(i) for i in range(frames.shape[1])], index_duration=1.0)\n"
        "text, _ = c.prepare_token_list(config, [labels])",
        "times, probs, states = c.ctc_segmentation(config, frames, text)",
        "starts = times[2:-1]",
    ),
    "NumPy": (
        "",
        """
n = len(labels)
symbols = np.zeros(2 * n + 1, np.int64)
symbols[1::2] = labels
bar = np.full(2 * n + 1, -np.inf, np.float32)
bar[3::2] = np.where(labels[1:] != labels[:-1], 0.0, -np.inf)
score = np.full(2 * n + 1, -np.inf, np.float32)
score[:2] = frames[0, symbols[:2]]
back = np.zeros((len(frames), 2 * n + 1), np.uint8)
for t in range(1, len(frames)):
    ways = np.full((3, 2 * n + 1), -np.inf, np.float32)
    ways[0], ways[1, 1:], ways[2, 2:] = score, score[:-1], score[:-2] + bar[2:]
    back[t] = ways.argmax(axis=0)
    score = ways.max(axis=0) + frames[t, symbols]
state = 2 * n if score[-1] > score[-2] else 2 * n - 1
states = np.empty(len(frames), np.int64)
for t in range(len(frames) - 1, -1, -1):
    states[t] = state
    state -= int(back[t, state])
""",
        "starts = np.searchsorted(states, np.arange(1, 2 * n, 2))",
    ),
}
MOST = {"NumPy": 10.0, "torchaudio": 20.0}  # minutes; beyond 2 ** 31 states torchaudio ends in a segmentation fault


def main() -> int:
    parser = argparse.ArgumentParser(description="forced alignment beside other packages")
    parser.add_argument("peers", nargs="*", choices=[[], *PEERS], metavar="PEER", help=", ".join(PEERS))
    parser.add_argument("--minutes", type=float, nargs="+", default=[1 / 6, 10.0, 60.0])
    parser.add_argument("--python", action="append", default=[], metavar="PEER=PYTHON", help="who runs a peer")
    options = parser.parse_args()
    pythons = dict(pair.split("=", 1) for pair in options.python)
    print("minutes\tpackage\tseconds\tof processor\tMB\tlabels within a frame\twithin 10")
    for minutes in options.minutes:
        frames, labels, starts = workloads.recording(round(minutes * 3000))
        with tempfile.TemporaryDirectory() as folder:
            paths = [str(Path(folder) / name) for name in ("frames.npy", "labels.npy")]
            np.save(paths[0], frames)
            np.save(paths[1], np.array(labels, np.int64))
            for name in options.peers or PEERS:
                if minutes > MOST.get(name, np.inf):
                    continue
                prepare, align, places = PEERS[name]
                script = METER.format(prepare=prepare, align=align, starts=places)
                command = [pythons.get(name, sys.executable), "-c", script, *paths]
                done = subprocess.run(command, capture_output=True, text=True, check=False)
                if done.returncode:
                    said = done.stderr.strip().splitlines()[-1:] or [f"ended with {done.returncode}"]
                    print(f"{minutes:g}\t{name}\tfailed: {said[0]}", flush=True)
                    continue
                seconds, cpu, peak, found = json.loads(done.stdout.splitlines()[-1])
                close = ["", ""]
                if len(found) == len(starts):
                    off = np.abs(np.array(found) - starts)
                    close = [f"{np.mean(off <= 1):.4f}", f"{np.mean(off <= 10):.4f}"]
                print(f"{minutes:g}", name, f"{seconds:.3f}", f"{cpu:.3f}", f"{peak:.0f}", *close, sep="\t", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
