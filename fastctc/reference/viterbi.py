"""The most probable path of a text.

G. D. Forney: The Viterbi Algorithm, Proceedings of the IEEE 61, 1973.
"""

from math import inf

from fastctc.reference.lattice import Frames, Labels, emissions, may_skip


def best_alignment(
    frames: Frames, labels: Labels, blank: int, is_log: bool, reach: float, work: float, memory: int, prove: bool
) -> tuple[float, tuple[int, ...], tuple[int, ...], float, int]:
    """Log probability of the most probable path, the first and the last frame of each label, how much better a path may
    be that was not looked at, and how many labels were looked at in a frame at most.

    Of equally probable ways into a state, staying comes before one step and one step before two; of the two last
    states the label comes before the blank. -inf and no frames of labels if no path leads there.

    Here all states are looked at, so that nothing is missing. The compiled twin leaves out, every few frames, states
    that are worse by more than ``reach`` nats than the best (inf: none), and gives up (-inf) after ``work`` labels of
    all frames. It takes about ``memory`` bytes at most beside what it must, and with ``prove`` bounds closely what
    may be missing.
    """
    del reach, work, memory, prove
    return (*_best_path(frames, labels, blank, is_log), 0.0, len(labels) + 1)


def _best_path(
    frames: Frames, labels: Labels, blank: int, is_log: bool
) -> tuple[float, tuple[int, ...], tuple[int, ...]]:
    if not len(frames):
        return (-inf if labels else 0.0), (), ()
    y = emissions(frames, labels, blank, is_log)
    n_states = 2 * len(labels) + 1
    score = [y[0][s] if s < 2 else -inf for s in range(n_states)]
    back = []
    for row in y[1:]:
        steps = []
        for s in range(n_states):
            ways = [0, 1] if s else [0]
            if may_skip(s, labels):
                ways.append(2)
            steps.append(max(ways, key=lambda way: score[s - way]))
        score = [score[s - steps[s]] + row[s] for s in range(n_states)]
        back.append(steps)
    state = n_states - 2 if labels and score[-2] >= score[-1] else n_states - 1
    total = score[state]
    if total == -inf:
        return -inf, (), ()
    path = [state]
    for steps in reversed(back):
        path.append(path[-1] - steps[path[-1]])
    path.reverse()
    frames_of = [[t for t, s in enumerate(path) if s == 2 * i + 1] for i in range(len(labels))]
    return total, tuple(f[0] for f in frames_of), tuple(f[-1] for f in frames_of)
