"""Beam search over paths, as wav2letter, flashlight and torchaudio do it, without a lexicon or within one.

A hypothesis is a path, one class a frame. Its score is the sum of the frames' scores along the path, whatever they are,
plus ``lm_weight`` times the language model's score, plus a bonus for words and for frames of silence. Paths that agree
in the state of the language model, the node of the lexicon's tree, and the last class count as one: the best of them
goes on, with its own score or with the sum of all. So ``blank`` and ``non-blank`` endings are hypotheses of their own,
unlike in prefix beam search.

Within a lexicon a path stands at a node of the tree of spellings. Where a spelling ends it may return to the root, and
the word is scored; before, the best word below the node stands for it (smearing). Between words there may be silence.

References
----------
R. Collobert, C. Puhrsch, G. Synnaeve: Wav2Letter: an End-to-End ConvNet-based Speech Recognition System, 2016.
V. Pratap et al.: Wav2Letter++: A Fast Open-source Speech Recognition System, 2019.
"""

from __future__ import annotations

from math import exp, inf, log1p
from typing import Any, NamedTuple

import numpy as np

from fastctc.reference.kenlm import Context, Scorer, State, advance, number
from fastctc.search_inputs import AskedModel, PathKenLM, PathOptions, SpellingTree

LOOK_BACK = 100  # frames that are searched for the end of a word, before those asked for
END = -1  # the token that stands for the end of a text


class _Path(NamedTuple):
    """A hypothesis: a state, the score of the best path to it, and that path's last step."""

    score: float
    lm: int  # state of the language model
    node: int  # of the spellings' tree
    token: int
    is_blank: bool
    word: int  # that ends here, -1: none
    parent: int  # among the hypotheses of the frame before, -1: none
    emission: float  # the frames' share of the score
    lm_score: float  # the model's share, unweighted


class PathSearch:
    """A search whose frames may come in parts."""

    def __init__(
        self,
        n_classes: int,
        blank: int,
        silence: int,
        unknown: int,
        options: PathOptions,
        tree: SpellingTree | None = None,
        model: PathKenLM | AskedModel | None = None,
    ) -> None:
        self._n_classes, self._blank, self._silence, self._unknown = n_classes, blank, silence, unknown
        self._options, self._tree, self._model = options, tree, model
        self._beams: list[list[_Path]] = []

    def begin(self) -> None:
        """Forget all frames."""
        self._known: dict[tuple[int, int], tuple[int, float]] = {}
        self._contexts: list[Context] = [()]  # what KenLM remembers in each state
        if isinstance(self._model, PathKenLM):
            beginning = State()
            Scorer(self._model.tables).begin(beginning)
            self._contexts = [beginning.context]
        self._n_states = 1
        start = self._model.start() if isinstance(self._model, AskedModel) else 0
        self._beams = [[_Path(0.0, start, 0, self._silence, False, -1, -1, 0.0, 0.0)]]

    def extend(self, emissions: Any) -> None:
        """Go on with some frames: (frames, classes)."""
        with np.errstate(invalid="ignore"):  # infinities that cancel; what comes of it is no candidate
            for row in emissions:
                self._extend_by_one([float(value) for value in row])

    def _extend_by_one(self, row: list[float]) -> None:
        paths = self._beams[-1]
        best = sorted(range(self._n_classes), key=lambda token: (-row[token], token))
        allowed = set(best[: self._options.tokens_per_frame])
        follow = self._free_steps if self._tree is None else self._steps_in_lexicon
        if isinstance(self._model, AskedModel):
            wanted = {key for path in paths for *_, key in follow(path, allowed) if key and key not in self._known}
            self._ask(sorted(wanted))
        candidates = []
        for place, path in enumerate(paths):
            for token, node, word, is_blank, bonus, smeared, key in follow(path, allowed):
                lm, gain = self._step(key) if key else (path.lm, 0.0)
                if smeared is not None:  # as single precision subtracts
                    gain = float(np.float32(gain) + smeared)
                raw = path.score + row[token]
                if token == self._silence and not (is_blank and self._tree is not None):  # where silence is the blank
                    raw += self._options.silence_bonus
                raw = raw + self._options.lm_weight * gain + bonus if gain or bonus else raw
                candidates.append(
                    _Path(raw, lm, node, token, is_blank, word, place, path.emission + row[token], path.lm_score + gain)
                )
        self._beams.append(self._select(candidates))

    def _free_steps(self, path: _Path, allowed: set[int]) -> Any:
        """(token, node, word, whether blank, bonus, what smearing adds, what the model is asked) of what may follow."""
        for token in sorted(allowed):
            if token == self._blank:
                yield token, 0, -1, True, 0.0, None, None
            elif token != path.token or path.is_blank:
                yield token, 0, -1, False, 0.0, None, (path.lm, token)
            else:
                yield token, 0, -1, False, 0.0, None, None

    def _steps_in_lexicon(self, path: _Path, allowed: set[int]) -> Any:
        tree, options = self._tree, self._options
        assert tree is not None
        words_scored = not options.token_model
        smeared = np.float32(0) if path.node == 0 else tree.bounds[path.node]
        for child in range(tree.children[path.node], tree.children[path.node + 1]):
            token = int(tree.tokens[child])
            if token not in allowed:
                continue
            asked = None if words_scored else (path.lm, token)
            if (path.is_blank or token != path.token) and tree.children[child] < tree.children[child + 1]:
                more = tree.bounds[child] - smeared if words_scored else None
                yield token, child, -1, False, 0.0, more, asked
            words = [int(word) for word in tree.words[tree.offsets[child] : tree.offsets[child + 1]]]
            for word in words:
                if path.node == 0 and path.token == token:
                    continue  # a word of one token cannot follow itself without a blank
                key = (path.lm, word) if words_scored else asked
                yield token, 0, word, False, options.word_bonus, -smeared if words_scored else None, key
            if not words and options.unknown_bonus > -inf:
                key = (path.lm, self._unknown) if words_scored else asked
                yield token, 0, self._unknown, False, options.unknown_bonus, -smeared if words_scored else None, key
        if path.node == 0:
            yield self._silence, 0, -1, False, 0.0, None, None
        elif not path.is_blank:
            yield path.token, path.node, -1, False, 0.0, None, None
        yield self._blank, path.node, -1, True, 0.0, None, None

    def _step(self, key: tuple[int, int]) -> tuple[int, float]:
        """The language model's next state, and its score."""
        if key not in self._known:
            state, token = key
            score = 0.0
            if isinstance(self._model, PathKenLM):
                tables = self._model.tables
                word = number(tables, b"</s>") if token == END else int(self._model.numbers[token])
                score, _, context = advance(tables, self._contexts[state], word)
                self._contexts.append(context)
            self._known[key] = self._n_states, score
            self._n_states += 1
        return self._known[key]

    def _ask(self, keys: list[tuple[int, int]]) -> None:
        assert isinstance(self._model, AskedModel)
        if keys:
            self._known.update(zip(keys, self._model.score(keys), strict=True))

    def _select(self, candidates: list[_Path]) -> list[_Path]:
        """Merge what agrees, and keep the best; what ties stands in the order of its parents, tokens and words."""
        candidates = [one for one in candidates if one.score == one.score]
        least = max((one.score for one in candidates), default=0.0) - self._options.threshold
        merged: dict[tuple[int, int, int, bool], list[_Path]] = {}
        for one in candidates:
            if one.score >= least:
                merged.setdefault((one.lm, one.node, one.token, one.is_blank), []).append(one)
        chosen = []
        for same in merged.values():
            first, *rest = sorted(same, key=_order)
            score = first.score
            for other in rest if self._options.log_add else ():
                high, low = max(score, other.score), min(score, other.score)
                score = high + log1p(exp(low - high)) if -inf < low < inf else high
            chosen.append(first._replace(score=score))
        return sorted(chosen, key=_order)[: self._options.beam_width]

    def end(self) -> None:
        """Let the text end here: a frame of silence, to which the model adds the end of the sentence."""
        paths = self._beams[-1]
        whole = [path.node == 0 for path in paths]
        ending = [place for place in range(len(paths)) if whole[place] or not any(whole)]
        keys = [(paths[place].lm, END) for place in ending]
        if isinstance(self._model, AskedModel):
            states = sorted({key[0] for key in keys if key not in self._known})
            if states:
                ends = self._model.finish(states)
                self._known.update(zip([(state, END) for state in states], ends, strict=True))
        candidates = []
        for place, key in zip(ending, keys, strict=True):
            path = paths[place]
            lm, gain = self._step(key) if self._model is not None else (path.lm, 0.0)
            score = path.score + self._options.lm_weight * gain if gain else path.score
            candidates.append(
                _Path(score, lm, path.node, self._silence, False, -1, place, path.emission, path.lm_score + gain)
            )
        self._beams.append(self._select(candidates))

    def prune(self, look_back: int) -> None:
        """Let go of all frames but the last ``look_back``, or some more, up to where the best path ends a word."""
        place, n = self._ancestor(look_back)
        first = len(self._beams) - 1 - n
        if len(self._beams) - 1 - look_back < 1 or place < 0 or first < 1:
            return
        del self._beams[:first]
        self._beams[0] = [path._replace(parent=-1) for path in self._beams[0]]
        highest = self._beams[-1][0].score
        self._beams[-1] = [path._replace(score=path.score - highest) for path in self._beams[-1]]

    def _ancestor(self, look_back: int) -> tuple[int, int]:
        """Where the best path stood some frames before the last, -1 if nowhere, and how many."""
        frame, place, n = len(self._beams) - 1, 0 if self._beams and self._beams[-1] else -1, 0
        while place >= 0 and n < look_back:
            place, frame, n = self._beams[frame][place].parent, frame - 1, n + 1
        while place >= 0 and self._tree is not None:
            parent = self._beams[frame][place].parent
            if parent < 0 or self._beams[frame - 1][parent].word >= 0:
                break
            place, frame, n = parent, frame - 1, n + 1
            if n == look_back + LOOK_BACK:
                break
        return place, n

    def size(self, look_back: int) -> tuple[int, int]:
        """How many hypotheses there are, and the length of their paths; of one, if it is to be some frames old."""
        if not self._beams:
            return 0, 0
        if look_back < 0:
            return len(self._beams[-1]), len(self._beams)
        place, n = self._ancestor(look_back)
        return int(place >= 0), len(self._beams) - n if place >= 0 else 0

    def fill(self, look_back: int, scores: Any, tokens: Any, words: Any) -> None:
        """Write the best hypotheses: score, the frames' and the model's share; tokens and words, a frame each."""
        places, n = ([self._ancestor(look_back)[0]], self._ancestor(look_back)[1]) if look_back >= 0 else ([], 0)
        for row in range(len(tokens)):
            frame = len(self._beams) - 1 - n
            place = places[row] if places else row
            path = self._beams[frame][place]
            scores[row] = path.score, path.emission, path.lm_score
            while place >= 0:
                path = self._beams[frame][place]
                tokens[row][frame], words[row][frame] = path.token, path.word
                place, frame = path.parent, frame - 1


def _order(path: _Path) -> Any:
    return -path.score, path.parent, path.token, path.word, path.node
