"""The interface of the package ``ctcdecode`` (parlance 1.0.3): the same classes and results, of its own search.

Tensors come out where tensors go in, NumPy arrays otherwise. Probabilities need not add up to 1. Models are ARPA files
or binary files of KenLM.

What differs: behind the ends of the results are zeros, not random memory; input that ends the original's process is a
ValueError; sums are made in double precision; of equally good prefixes the one with the smaller labels comes first.
"""

import sys
from collections.abc import Callable, Sequence
from math import log
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastctc.compiled import kenlm, ngram
from fastctc.compiled.lexicon import prefix_tree
from fastctc.compiled.scored_search import ScoredBeams
from fastctc.lm.kenlm import KenLM, is_kenlm
from fastctc.lm.ngram import NGram
from fastctc.search_inputs import ExternalScorer, ScoredTexts
from fastctc.threads import share

__all__ = ["CTCBeamDecoder", "DecoderState", "OnlineCTCBeamDecoder"]

LN10 = log(10.0)
OUT_OF_VOCABULARY = -1000.0  # what stands for the log probability of an n-gram with an unknown word
SPACE = " "
BEGIN, END, UNKNOWN = "<s>", "</s>", "<unk>"

Results = tuple[Any, Any, Any, Any]


class Opened(NamedTuple):
    """A model's words and their numbers, and how it is asked."""

    numbers: dict[str, int]
    order: int
    nothing: Any  # its state after nothing,
    start: Any  # and at the beginning of a sentence
    advance: Callable[[Any, int], tuple[float, Any]]


class CTCBeamDecoder:
    """Prefix beam search with a language model.

    Parameters
    ----------
    labels : str or sequence of str
        One for each class, that of the blank included.
    model_path : str, optional
        A language model: of characters if all of its words are one character long, otherwise of words, which are then
        the only ones.
    alpha, beta : float
        Weight of the model's log probabilities, and what is added for each word, or character.
    cutoff_top_n : int
        The most probable classes of a frame, which count.
    cutoff_prob : float
        As soon as the logarithm of 1 plus the classes' probabilities has this value, no more classes count.
    beam_width : int
        Prefixes that survive a frame.
    num_processes : int
        Threads that share a batch.
    blank_id : int
        The class of the blank.
    log_probs_input : bool
        Whether the input is logarithms of probabilities.

    Raises
    ------
    ValueError
        For numbers out of range, a model without sentences' beginnings and ends, a model of words for labels without a
        blank space.
    OSError
        If the model cannot be read.
    """

    def __init__(
        self,
        labels: Sequence[str],
        model_path: str | None = None,
        alpha: float = 0,
        beta: float = 0,
        cutoff_top_n: int = 40,
        cutoff_prob: float = 1.0,
        beam_width: int = 100,
        num_processes: int = 4,
        blank_id: int = 0,
        log_probs_input: bool = False,
    ) -> None:
        self._labels = list(labels)
        self._num_labels = len(self._labels)
        for name, value in (
            ("the number of labels", self._num_labels),
            ("cutoff_top_n", cutoff_top_n),
            ("beam_width", beam_width),
            ("num_processes", num_processes),
        ):
            if value < 1:
                raise ValueError(f"{name} must be 1 or more, got {value}")
        if not 0 <= blank_id < self._num_labels:
            raise ValueError(f"blank_id must be 0 to {self._num_labels - 1}, got {blank_id}")
        self.cutoff_top_n = cutoff_top_n
        self._cutoff_prob = cutoff_prob
        self._beam_width = beam_width
        self._num_processes = num_processes
        self._blank_id = blank_id
        self._log_probs = 1 if log_probs_input else 0
        self._scorer = Scorer(model_path, alpha, beta, self._labels) if model_path else None

    def decode(self, probs: ArrayLike, seq_lens: ArrayLike | None = None) -> Results:
        """Texts of a batch.

        Parameters
        ----------
        probs : tensor or array (batch, frames, labels)
        seq_lens : tensor or array (batch,), optional
            Frames of each sequence; more than there are count as all.

        Returns
        -------
        beam_results : int32 (batch, beams, frames)
            The labels of each text, better texts first.
        beam_scores : float32 (batch, beams)
            Negative logarithms of what ranked the texts, with about what the model has said taken out again.
        timesteps : int32 (batch, beams, frames)
            Of each label the frame in which it was most probable for this text.
        out_lens : int32 (batch, beams)
            How many labels a text has.

        Raises
        ------
        ValueError
            For another number of dimensions, classes or lengths; for NaN, probabilities below 0, or infinite.
        """
        rows = self._rows(probs, seq_lens)

        def search(part: NDArray[np.float64]) -> ScoredTexts:
            beams = self._beams()
            beams.extend(part)
            return beams.best()

        found = share(rows, lambda: search, self._num_processes)
        return self._results(found, probs, self._beam_width, np.shape(probs)[1])

    def character_based(self) -> bool | None:
        """Whether the model is one of characters; None without a model."""
        return self._scorer.is_character_based if self._scorer else None

    def max_order(self) -> int | None:
        """Length of the model's longest n-grams; None without a model."""
        return self._scorer.order if self._scorer else None

    def dict_size(self) -> int | None:
        """Number of the model's words that the labels can spell, 0 if it is one of characters; None without a model."""
        return self._scorer.n_words if self._scorer else None

    def reset_params(self, alpha: float, beta: float) -> None:
        """Weigh the model otherwise, in sequences that begin from now on."""
        if self._scorer:
            self._scorer.alpha, self._scorer.beta = alpha, beta

    def _beams(self) -> ScoredBeams:
        return ScoredBeams(
            self._num_labels,
            self._blank_id,
            self._beam_width,
            self._cutoff_prob,
            self.cutoff_top_n,
            bool(self._log_probs),
            self._scorer.external() if self._scorer else None,
        )

    def _rows(self, probs: Any, seq_lens: Any) -> list[NDArray[np.float64]]:
        """The frames of each sequence, as the original rounds them."""
        values = _as_array(probs).astype(np.float32).astype(np.float64)
        if values.ndim != 3 or values.shape[2] != self._num_labels:
            raise ValueError(f"probs must be (batch, frames, {self._num_labels}), got shape {values.shape}")
        lengths = np.full(len(values), values.shape[1]) if seq_lens is None else _as_array(seq_lens).astype(np.int64)
        if lengths.shape != (len(values),) or (lengths < 0).any():
            raise ValueError(f"seq_lens must be {len(values)} numbers from 0 on, got {lengths.tolist()}")
        rows = [np.ascontiguousarray(part[:n]) for part, n in zip(values, lengths, strict=True)]
        for part in rows:
            # A NaN is neither below nor above a number.
            if not ((part < np.inf).all() and (self._log_probs or (part >= 0.0).all())):
                what = "logarithms below infinity" if self._log_probs else "from 0 on and finite"
                raise ValueError(f"probs must be {what}, without NaN")
        return rows

    def _results(self, found: Sequence[ScoredTexts | None], probs: Any, n_beams: int, n_frames: int) -> Results:
        labels = np.zeros((len(found), n_beams, n_frames), np.int32)
        timesteps = np.zeros_like(labels)
        scores = np.zeros((len(found), self._beam_width), np.float32)
        lengths = np.zeros((len(found), self._beam_width), np.int32)
        for b, texts in enumerate(found):
            if texts is not None:
                n, longest = texts.labels.shape
                labels[b, :n, :longest], timesteps[b, :n, :longest] = texts.labels, texts.timesteps
                lengths[b, :n] = texts.lengths
                of_text = self._scorer.without_model(texts) if self._scorer else texts.scores
                scores[b, :n] = -np.maximum(of_text, -np.finfo(np.float32).max)
        torch = sys.modules.get("torch")
        if torch is not None and isinstance(probs, torch.Tensor):
            return tuple(map(torch.from_numpy, (labels, scores, timesteps, lengths)))
        return labels, scores, timesteps, lengths


class OnlineCTCBeamDecoder(CTCBeamDecoder):
    """The same of sequences that come in pieces, each with a :class:`DecoderState` of its own."""

    def decode(  # type: ignore[override]
        self,
        probs: ArrayLike,
        states: Sequence["DecoderState"],
        is_eos_s: Sequence[bool],
        seq_lens: ArrayLike | None = None,
    ) -> Results:
        """Texts of those sequences that have ended, after more frames of all.

        Parameters
        ----------
        probs, seq_lens
            As of :meth:`CTCBeamDecoder.decode`.
        states : sequence of DecoderState
            One for each sequence.
        is_eos_s : sequence of bool
            Whether a sequence ends here; others have no texts yet.

        Returns
        -------
        beam_results, beam_scores, timesteps, out_lens
            As there, but for ``beam_results`` and ``timesteps``, which are (batch, most texts, most labels).

        Raises
        ------
        ValueError
            As there; besides, for too few states, or one that is given twice.
        """
        rows = self._rows(probs, seq_lens)
        if len(states) < len(rows) or len(is_eos_s) < len(rows):
            raise ValueError(f"there must be {len(rows)} states and is_eos_s, got {len(states)} and {len(is_eos_s)}")
        if len(set(map(id, states))) < len(states):
            raise ValueError("states must be different ones, got one twice")

        def search(number: int) -> ScoredTexts | None:
            states[number].state.extend(rows[number])
            return states[number].state.best() if is_eos_s[number] else None

        found = share(range(len(rows)), lambda: search, self._num_processes)
        ended = [texts for texts in found if texts is not None]
        n_beams = max((len(texts.labels) for texts in ended), default=0)
        return self._results(found, probs, n_beams, max((texts.labels.shape[1] for texts in ended), default=0))

    def reset_state(self, state: "DecoderState") -> None:
        """Let a state be that of a sequence that has not begun."""
        state.state = self._beams()


class DecoderState:
    """What is known of a sequence so far.

    Parameters
    ----------
    decoder : OnlineCTCBeamDecoder
    """

    def __init__(self, decoder: CTCBeamDecoder) -> None:
        self.state = decoder._beams()


class Scorer:
    """A language model as the search asks it: an n-gram with an unknown word is all but impossible."""

    def __init__(self, path: str, alpha: float, beta: float, labels: Sequence[str]) -> None:
        self.alpha, self.beta = alpha, beta
        self._labels = labels
        self._model = _opened_binary(path) if is_kenlm(path) else _opened_arpa(path)
        self.order, self._numbers = self._model.order, self._model.numbers
        if BEGIN not in self._numbers or END not in self._numbers:
            raise ValueError(f"{path}: the model must have {BEGIN} and {END}")
        ordinary = [word for word in self._numbers if word not in (BEGIN, END, UNKNOWN)]
        self.is_character_based = all(len(word) <= 1 for word in ordinary)
        # Of a state its number; of a number the model's state, and after how many known words that is no more one of
        # an n-gram with an unknown word.
        self._states: dict[tuple[Any, int], int] = {}
        self._known: list[tuple[Any, int]] = []
        self._answers: dict[tuple[int, int], tuple[float, int]] = {}
        self._lock = Lock()
        self._first = self._numbered((self._model.start, 0))
        self._space = labels.index(SPACE) if SPACE in labels else -1
        self.n_words, self._tree = 0, None
        self._tokens = np.array([self._number(label) for label in labels], np.int32)
        if not self.is_character_based:
            if self._space < 0:
                raise ValueError(f"labels must have a blank space, for a model of words, got {labels!r}")
            place = {label: c for c, label in enumerate(labels)}  # of labels that come twice, the last
            spelled = sorted(
                (tuple(place[c] for c in word), number)
                for word, number in self._numbers.items()
                if word and all(c in place and c != SPACE for c in word)
            )
            self.n_words = len(spelled)
            offsets = np.cumsum([0, *(len(spelling) for spelling, _ in spelled)]).astype(np.int64)
            spellings = np.array([c for spelling, _ in spelled for c in spelling], np.int32)
            self._tree = prefix_tree(spellings, offsets)
            self._tokens = np.array([-1 if number < 0 else number for _, number in spelled], np.int32)

    def external(self) -> ExternalScorer:
        """What a search is given."""
        return ExternalScorer(self.advance, self._first, self.alpha, self.beta, self._tokens, self._tree, self._space)

    def advance(self, state: int, token: int) -> tuple[float, int]:
        """Log probability of a token, -1000 if it or one of those before it in an n-gram is unknown; the next state."""
        answer = self._answers.get((state, token))
        if answer is None:
            model_state, n_unknown = self._known[state]
            if token < 0:
                score, after = OUT_OF_VOCABULARY, self._numbered((self._model.nothing, self.order - 1))
            else:
                score, next_state = self._model.advance(model_state, token)
                score = OUT_OF_VOCABULARY if n_unknown else score
                after = self._numbered((next_state, max(0, n_unknown - 1)))
            answer = self._answers[state, token] = score, after
        return answer

    def without_model(self, texts: ScoredTexts) -> NDArray[np.float64]:
        """The scores with the last words' share, less about what the model and the bonus have added."""
        result: NDArray[np.float64] = texts.scores.copy()
        for i, (row, length, state) in enumerate(zip(texts.labels, texts.lengths, texts.states, strict=True)):
            text = "".join([self._labels[c] for c in row[:length]])
            if not self.is_character_based and length and row[length - 1] != self._space:
                last = text.rpartition(SPACE)[2]
                result[i] += self.alpha * self.advance(int(state), self._number(last))[0] + self.beta
            result[i] -= length * self.beta + self.alpha * self._sentence(text)
        return result

    def _sentence(self, text: str) -> float:
        tokens = list(text) if self.is_character_based else [word for word in text.split(SPACE) if word]
        total, state = 0.0, self._first
        for token in [*(tokens or [BEGIN]), END]:
            score, state = self.advance(state, self._number(token))
            total += score
        return total

    def _number(self, word: str) -> int:
        return self._numbers.get(word, -1) if word != UNKNOWN else -1

    def _numbered(self, state: tuple[Any, int]) -> int:
        with self._lock:
            number = self._states.setdefault(state, len(self._known))
            if number == len(self._known):
                self._known.append(state)
        return number


def _opened_arpa(path: str) -> Opened:
    model = NGram.from_arpa(path)

    def advance(state: Any, token: int) -> tuple[float, Any]:
        scores, after = ngram.score(model.tables, state, [token])
        return scores[0], after

    return Opened({word: n for n, word in enumerate(model.vocabulary)}, model.order, 0, model.start, advance)


def _opened_binary(path: str) -> Opened:
    model = KenLM.load(path)
    words = model.words()
    start = kenlm.State()
    model.scorer.begin(start)

    def advance(state: Any, token: int) -> tuple[float, Any]:
        after = kenlm.State()
        return LN10 * model.scorer.advance(state, words[token], after), after

    numbers = {word.decode("utf-8", "surrogateescape"): n for n, word in enumerate(words)}
    return Opened(numbers, model.order, kenlm.State(), start, advance)


def _as_array(values: Any) -> NDArray[Any]:
    if hasattr(values, "detach"):
        values = values.detach().cpu()
        return np.asarray(values.float() if values.is_floating_point() else values)
    return np.asarray(values)
