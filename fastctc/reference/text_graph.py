"""The best path through a text that says less, more or something else than the frames.

A text is a row of elements, as a rule words and what stands between them, with a junction before each and behind the
last. An element has one form or more, of which one is read as CTC reads a text, or it is left out at its price. At a
junction a path waits in blanks; where the junction has a star it may also wait there, which stands for any classes: a
frame gives what its best class has less the price of the star, or what the blank has if that is more.

The star is that of L. Kürzinger et al., CTC-Segmentation, SPECOM 2020, and V. Pratap et al., Scaling Speech Technology
to 1,000+ Languages, JMLR 25, 2024, with a price; the graph is a linear automaton as in M. Mohri, F. Pereira, M. Riley:
Weighted Finite-State Transducers in Speech Recognition, Computer Speech & Language 16, 2002.
"""

from math import inf
from typing import NamedTuple

from fastctc.reference.lattice import Frames, log_of
from fastctc.search_inputs import TextGraph

Found = tuple[float, tuple[int, ...], tuple[int, ...], tuple[int, ...], tuple[tuple[int, int, int], ...], float, int]
State = tuple[int, ...]  # (BLANK or STAR, junction), or (LABEL or PAUSE, element, form, position)
BLANK, STAR, LABEL, PAUSE = range(4)


class _Arrival(NamedTuple):
    """What has arrived at a junction by a way that ends in some label, or in a blank or star (-1)."""

    value: float
    state: State
    label: int


def best_reading(
    frames: Frames, graph: TextGraph, blank: int, is_log: bool, reach: float, work: float, memory: int
) -> Found:
    """Score of the best path; the form of each element, -1 if it is left out; the first and the last frame of each
    label of these forms; the stars, each a junction and its first and last frame; by how much a path may be better that
    was not looked at; and how many labels were looked at in a frame at most.

    -inf and nothing if no path leads to the end. Of equally good ways into a state of an element, staying comes before
    one step and one step before two. Into a junction blanks come first, then stars, then elements left out, then the
    last labels of the element before, by the order of its forms, then those before elements left out. At the end labels
    come before blanks and stars.

    Here all states are looked at, so that nothing is missing. The compiled twin leaves out, every few frames, elements
    all of whose states are worse by more than ``reach`` nats than the best (inf: none), or by less where ``memory``
    bytes would not do, and gives up (-inf) after ``work`` labels of all frames.
    """
    del reach, work, memory
    n = len(graph.forms)
    widest = sum(len(form) for forms in graph.forms for form in forms)
    score: dict[State, float] = {(BLANK, 0): 0.0}
    ways: list[dict[State, State]] = []  # of each frame: the state before
    for row in frames:
        logs = [log_of(x, is_log) for x in row]
        plain, ended = _junctions(score, graph)
        after: dict[State, float] = {}
        before: dict[State, State] = {}
        for k in range(n + 1):
            enter = max([plain[k], *ended[k]], key=lambda arrival: arrival.value)
            star = _star(logs, blank, graph.star_prices[k])
            after[BLANK, k], before[BLANK, k] = enter.value + logs[blank], enter.state
            after[STAR, k], before[STAR, k] = enter.value + star, enter.state
        for e, forms in enumerate(graph.forms):
            for f, form in enumerate(forms):
                for i, label in enumerate(form):
                    state: State = (LABEL, e, f, i)
                    if i == 0:
                        arrivals = [plain[e], *(arrival for arrival in ended[e] if arrival.label != label)]
                        found = [(score.get(state, -inf), state), *((a.value, a.state) for a in arrivals)]
                    else:
                        steps = [state, (PAUSE, e, f, i - 1)] + [(LABEL, e, f, i - 1)] * (form[i - 1] != label)
                        found = [(score.get(step, -inf), step) for step in steps]
                    value, before[state] = max(found, key=lambda way: way[0])
                    after[state] = value + logs[label]
                    if i < len(form) - 1:
                        pause: State = (PAUSE, e, f, i)
                        value, before[pause] = max(
                            ((score.get(step, -inf), step) for step in (pause, state)), key=lambda way: way[0]
                        )
                        after[pause] = value + logs[blank]
        score = after
        ways.append(before)
    plain, ended = _junctions(score, graph)
    last = max([*ended[n], plain[n]], key=lambda arrival: arrival.value)
    if last.value == -inf:
        return -inf, (), (), (), (), 0.0, widest
    path = [last.state] if ways else []
    for before in reversed(ways[1:]):
        path.append(before[path[-1]])
    return (last.value, *_places(path[::-1], graph), 0.0, widest)


def _junctions(score: dict[State, float], graph: TextGraph) -> tuple[list[_Arrival], list[list[_Arrival]]]:
    """What has arrived at each junction: by blanks and stars the best; by labels the best, and the best by another."""
    plain: list[_Arrival] = []
    ended: list[list[_Arrival]] = []
    for k in range(len(graph.forms) + 1):
        waiting = [_Arrival(score.get((kind, k), -inf), (kind, k), -1) for kind in (BLANK, STAR)]
        arrivals = []
        if k > 0:
            price = graph.skip_prices[k - 1]
            waiting.append(plain[k - 1]._replace(value=plain[k - 1].value - price))
            for f, form in enumerate(graph.forms[k - 1]):
                state = (LABEL, k - 1, f, len(form) - 1)
                arrivals.append(_Arrival(score.get(state, -inf), state, form[-1]))
            arrivals += [arrival._replace(value=arrival.value - price) for arrival in ended[k - 1]]
        plain.append(max(waiting, key=lambda arrival: arrival.value))
        best = max(arrivals, key=lambda arrival: arrival.value, default=None)
        others = [arrival for arrival in arrivals if best is not None and arrival.label != best.label]
        ended.append([a for a in (best, max(others, key=lambda a: a.value, default=None)) if a is not None])
    return plain, ended


def _star(logs: list[float], blank: int, price: float) -> float:
    """What a star gives a frame."""
    return -inf if price == inf else max(logs[blank], max(logs) - price)


def _places(
    path: list[State], graph: TextGraph
) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], tuple[tuple[int, int, int], ...]]:
    """The forms, the frames of their labels, and the stars of a path."""
    chosen = [-1] * len(graph.forms)
    frames_of: dict[State, list[int]] = {}
    stars: list[tuple[int, int, int]] = []
    for t, state in enumerate(path):
        if state[0] == LABEL:
            chosen[state[1]] = state[2]
            frames_of.setdefault(state, []).append(t)
        elif state[0] == STAR:
            junction = state[1]
            if t > 0 and path[t - 1] == state:
                stars[-1] = (junction, stars[-1][1], t)
            else:
                stars.append((junction, t, t))
    labels = list(frames_of.values())  # in their order, as the path goes
    return tuple(chosen), tuple(f[0] for f in labels), tuple(f[-1] for f in labels), tuple(stars)
