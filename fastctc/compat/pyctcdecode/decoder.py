"""The decoder, and what makes it."""

import functools
import heapq
import logging
import math
import multiprocessing
import os
from collections.abc import Callable, Collection, Iterable, Iterator
from multiprocessing.pool import Pool
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastctc.compat import kenlm
from fastctc.compat.pyctcdecode.alphabet import Alphabet, verify_alphabet_coverage
from fastctc.compat.pyctcdecode.constants import (
    DEFAULT_ALPHA,
    DEFAULT_BEAM_WIDTH,
    DEFAULT_BETA,
    DEFAULT_HOTWORD_WEIGHT,
    DEFAULT_MIN_TOKEN_LOGP,
    DEFAULT_PRUNE_BEAMS,
    DEFAULT_PRUNE_LOGP,
    DEFAULT_SCORE_LM_BOUNDARY,
    DEFAULT_UNK_LOGP_OFFSET,
)
from fastctc.compat.pyctcdecode.language_model import (
    AbstractLanguageModel,
    HotwordScorer,
    KenlmState,
    LanguageModel,
    load_model,
    load_unigram_set_from_arpa,
)
from fastctc.compiled.label_choice import choose_labels
from fastctc.compiled.pruned_search import pruned_search
from fastctc.search_inputs import ChosenLabels, PartBeam, Pruning, WordWeights

logger = logging.getLogger("pyctcdecode.decoder")  # by which programs silence it

Frames = tuple[int, int]
WordFrames = tuple[str, Frames]
Caches = dict[tuple[str, bool], tuple[float, float, Any]]

NULL_FRAMES: Frames = (-1, -1)


class Beam(NamedTuple):
    """A beam in the search."""

    text: str
    next_word: str
    partial_word: str
    last_char: str | None
    text_frames: list[Frames]
    partial_frames: Frames
    logit_score: float

    @classmethod
    def from_lm_beam(cls, lm_beam: "LMBeam") -> "Beam":
        """A beam without what the model says of it."""
        return cls(*lm_beam[:7])


class LMBeam(NamedTuple):
    """A beam in the search, with its whole score."""

    text: str
    next_word: str
    partial_word: str
    last_char: str | None
    text_frames: list[Frames]
    partial_frames: Frames
    logit_score: float
    lm_score: float


class OutputBeam(NamedTuple):
    """A beam that was found: a tuple of five, as in 0.5.0, with names."""

    text: str
    last_lm_state: Any
    text_frames: list[WordFrames]
    logit_score: float
    lm_score: float

    def get_mp_safe_beam(self) -> "OutputBeamMPSafe":
        """The beam without the state of the model."""
        return OutputBeamMPSafe(self.text, None, self.text_frames, self.logit_score, self.lm_score)


class OutputBeamMPSafe(OutputBeam):
    """A beam of a batch: a tuple of four, as in 0.5.0, without ``last_lm_state``, which is None."""

    __slots__ = ()

    def _four(self) -> tuple[Any, ...]:
        return self.text, self.text_frames, self.logit_score, self.lm_score

    def __iter__(self) -> Iterator[Any]:
        return iter(self._four())

    def __len__(self) -> int:
        return 4

    def __getitem__(self, place: Any) -> Any:
        return self._four()[place]

    def __eq__(self, other: object) -> bool:
        if isinstance(other, OutputBeam):
            return tuple.__eq__(self, other)
        return self._four() == other

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash((self.text, self.logit_score, self.lm_score))

    def __reduce__(self) -> tuple[Any, ...]:
        return OutputBeamMPSafe, (self.text, None, self.text_frames, self.logit_score, self.lm_score)


EMPTY_START_BEAM = Beam("", "", "", None, [], NULL_FRAMES, 0.0)


def _normalize_whitespace(text: str) -> str:
    return " ".join(text.split())


def _sum_log_scores(s1: float, s2: float) -> float:
    """Logarithm of the sum of two probabilities."""
    high, low = (s1, s2) if s1 >= s2 else (s2, s1)
    return high if low == -math.inf else high + math.log(1 + math.exp(low - high))


def _merge_tokens(token_1: str, token_2: str) -> str:
    return f"{token_1} {token_2}" if token_1 and token_2 else token_1 or token_2


def _sort_and_trim_beams(beams: list[LMBeam], beam_width: int) -> list[LMBeam]:
    """The best beams, best first; equal ones in their order."""
    return heapq.nlargest(beam_width, beams, key=lambda beam: beam[-1])


def _merge_beams(beams: list[Beam]) -> list[Beam]:
    """Sum the beams that have the same text, partial word and last label."""
    merged: dict[tuple[str, str, str | None], Beam] = {}
    for beam in beams:
        text, word, part, last, *_, score = beam
        key = _merge_tokens(text, word), part, last
        if key in merged:
            score = _sum_log_scores(merged[key][-1], score)
        merged[key] = Beam(*beam[:-1], score)
    return list(merged.values())


def _prune_history(beams: list[LMBeam], lm_order: int) -> list[Beam]:
    """Of beams whose last words are the same to the model, keep the first."""
    kept: dict[tuple[Any, ...], Beam] = {}
    for beam in beams:
        key = tuple(beam[0].split()[-max(1, lm_order - 1) :]), beam[2], beam[3]
        if key not in kept:
            kept[key] = Beam(*beam[:7])
    return list(kept.values())


def _get_valid_pool(pool: Pool | None) -> Pool | None:
    """The pool, if its processes know what this one does."""
    if pool is not None and isinstance(pool._ctx, multiprocessing.context.SpawnContext):  # type: ignore[attr-defined]
        logger.warning(
            "Specified pool object has a spawn context, which is not currently supported. Its processes do not have "
            "the language model.\nFalling back to sequential decoding."
        )
        return None
    return pool


def _chosen(logits: NDArray[Any], token_min_logp: float) -> ChosenLabels:
    """The labels of each frame that are probable enough, from probabilities or logits.

    They are taken for probabilities if the rows' sums are 1 in the mean, to nine digits in the array's own precision.
    """
    if logits.dtype not in (np.float32, np.float64) or not logits.dtype.isnative:
        logits = logits.astype(np.float32 if logits.dtype.itemsize < 8 and logits.dtype.kind == "f" else np.float64)
    logits = np.ascontiguousarray(logits)
    is_probs = len(logits) > 0 and abs(float(logits[0].sum()) - 1) < 0.5 and math.isclose(logits.sum(axis=1).mean(), 1)
    return choose_labels(logits, is_probs, token_min_logp)


class BeamSearchDecoderCTC:
    """Beam search with thresholds, and words weighed by a model as they end.

    Parameters
    ----------
    alphabet : Alphabet
    language_model : AbstractLanguageModel, optional
    """

    model_container: dict[bytes, AbstractLanguageModel | None] = {}  # noqa: RUF012  # shared by all, as in the original

    _ALPHABET_SERIALIZED_FILENAME = "alphabet.json"
    _LANGUAGE_MODEL_SERIALIZED_DIRECTORY = "language_model"

    def __init__(self, alphabet: Alphabet, language_model: AbstractLanguageModel | None = None) -> None:
        self._alphabet = alphabet
        self._idx2vocab = dict(enumerate(alphabet.labels))
        self._is_bpe = alphabet.is_bpe
        self._model_key = os.urandom(16)
        BeamSearchDecoderCTC.model_container[self._model_key] = language_model

    def reset_params(
        self,
        alpha: float | None = None,
        beta: float | None = None,
        unk_score_offset: float | None = None,
        lm_score_boundary: bool | None = None,
    ) -> None:
        """Change weights of the language model, if there is one; None leaves one as it is."""
        values = {
            "alpha": alpha,
            "beta": beta,
            "unk_score_offset": unk_score_offset,
            "score_boundary": lm_score_boundary,
        }
        if self._language_model is not None:
            self._language_model.reset_params(**{name: value for name, value in values.items() if value is not None})

    @classmethod
    def clear_class_models(cls) -> None:
        """Forget the models of all decoders."""
        cls.model_container = {}

    def cleanup(self) -> None:
        """Forget this decoder's model."""
        BeamSearchDecoderCTC.model_container.pop(self._model_key, None)

    @property
    def _language_model(self) -> AbstractLanguageModel | None:
        return BeamSearchDecoderCTC.model_container[self._model_key]

    def _check_logits_dimension(self, logits: Any) -> NDArray[Any]:
        """The logits as an array.

        Raises
        ------
        ValueError
            If they are not (frames, classes).
        """
        array: NDArray[Any] = np.asarray(logits.detach().cpu() if hasattr(logits, "detach") else logits)
        if array.ndim != 2:
            raise ValueError(f"Input logits have {array.ndim} dimensions, but need 2: (time, vocabulary)")
        if array.shape[1] != len(self._idx2vocab):
            raise ValueError(
                f"Input logits shape is {array.shape}, but vocabulary is size {len(self._idx2vocab)}. "
                "Need logits of shape: (time, vocabulary)"
            )
        return array

    def _search(
        self,
        logits: Any,
        token_min_logp: float,
        pruning: Pruning,
        scorer: HotwordScorer,
        start: list[PartBeam],
        first_frame: int = 0,
        closes: bool = True,
        ends: bool = True,
        most: int = 0,
    ) -> list[PartBeam]:
        chosen = _chosen(self._check_logits_dimension(logits), token_min_logp)
        model = self._language_model
        words = model if (weights := _weights(model)) is None else weights
        found: list[PartBeam] = pruned_search(
            chosen, self._alphabet.pieces, pruning, words, scorer.preferred, start, first_frame, closes, ends, most
        )
        return found

    def _pruning(self, beam_width: int, beam_prune_logp: float, prune_history: bool) -> Pruning:
        model = self._language_model
        order = 1 if model is None else model.order
        return Pruning(beam_width, beam_prune_logp, max(1, order - 1) if prune_history else 0)

    def _start(self, state: Any) -> list[PartBeam]:
        """The empty text, after a state or where texts begin."""
        model = self._language_model
        if model is None:
            state = None
        else:
            state = model.get_start_state() if state is None else state
            state = _to_native(_weights(model), state)
        return [PartBeam("", "", -1, [], NULL_FRAMES, 0.0, 0.0, 0.0, state)]

    def _found(
        self,
        logits: Any,
        beam_width: int,
        beam_prune_logp: float,
        token_min_logp: float,
        prune_history: bool,
        hotwords: Iterable[str] | None,
        hotword_weight: float,
        lm_start_state: Any,
        most: int = 0,
    ) -> list[PartBeam]:
        scorer = HotwordScorer.build_scorer(hotwords, weight=hotword_weight)
        pruning = self._pruning(beam_width, beam_prune_logp, prune_history)
        return self._search(logits, token_min_logp, pruning, scorer, self._start(lm_start_state), most=most)

    def decode_beams(
        self,
        logits: NDArray[Any],
        beam_width: int = DEFAULT_BEAM_WIDTH,
        beam_prune_logp: float = DEFAULT_PRUNE_LOGP,
        token_min_logp: float = DEFAULT_MIN_TOKEN_LOGP,
        prune_history: bool = DEFAULT_PRUNE_BEAMS,
        hotwords: Iterable[str] | None = None,
        hotword_weight: float = DEFAULT_HOTWORD_WEIGHT,
        lm_start_state: Any = None,
    ) -> list[OutputBeam]:
        """The beams that are left at the end, best first.

        Parameters
        ----------
        logits : (frames, classes)
            Logits or log probabilities; probabilities if their rows sum to 1 in the mean.
        beam_width : int, default 100
            How many beams survive a frame. Paths that end in the blank and in a label are two beams.
        beam_prune_logp : float, default -10
            How far below the best, in nats, beams may be.
        token_min_logp : float, default -5
            The least log probability of a label, but for the frame's most probable one.
        prune_history : bool, default False
            Whether to keep only the best of the beams that the model cannot tell apart by what follows.
        hotwords : iterable of str, optional
            Words to be preferred; phrases are split into words.
        hotword_weight : float, default 10
            What each of them adds to the score, in nats.
        lm_start_state : optional
            State of the model after what came before: ``last_lm_state`` of a beam.

        Raises
        ------
        ValueError
            For other shapes, and for NaN.
        """
        beams = self._found(
            logits, beam_width, beam_prune_logp, token_min_logp, prune_history, hotwords, hotword_weight, lm_start_state
        )
        return self._output(beams)

    def _output(self, beams: list[PartBeam]) -> list[OutputBeam]:
        wrap = _wrapper(self._language_model)
        return [
            OutputBeam(b.text, wrap(b.state), list(zip(b.text.split(), b.frames)), b.log_prob, b.score)  # noqa: B905
            for b in beams
        ]

    def decode(
        self,
        logits: NDArray[Any],
        beam_width: int = DEFAULT_BEAM_WIDTH,
        beam_prune_logp: float = DEFAULT_PRUNE_LOGP,
        token_min_logp: float = DEFAULT_MIN_TOKEN_LOGP,
        hotwords: Iterable[str] | None = None,
        hotword_weight: float = DEFAULT_HOTWORD_WEIGHT,
        lm_start_state: Any = None,
    ) -> str:
        """The text of the best beam; parameters as of :meth:`decode_beams`, with ``prune_history``."""
        beams = self._found(
            logits, beam_width, beam_prune_logp, token_min_logp, True, hotwords, hotword_weight, lm_start_state, 1
        )
        return _normalize_whitespace(beams[0].text)

    def _decode_beams_mp_safe(self, logits: NDArray[Any], **options: Any) -> list[OutputBeamMPSafe]:
        return [beam.get_mp_safe_beam() for beam in self.decode_beams(logits, **options)]

    def decode_beams_batch(
        self,
        pool: Pool | None,
        logits_list: Iterable[NDArray[Any]],
        beam_width: int = DEFAULT_BEAM_WIDTH,
        beam_prune_logp: float = DEFAULT_PRUNE_LOGP,
        token_min_logp: float = DEFAULT_MIN_TOKEN_LOGP,
        prune_history: bool = DEFAULT_PRUNE_BEAMS,
        hotwords: Iterable[str] | None = None,
        hotword_weight: float = DEFAULT_HOTWORD_WEIGHT,
    ) -> list[list[OutputBeamMPSafe]]:
        """The beams of many sequences; see :meth:`decode_beams`.

        A pool of processes that were forked is used, others are not. It is seldom worth its costs.
        """
        decode = functools.partial(
            self._decode_beams_mp_safe,
            beam_width=beam_width,
            beam_prune_logp=beam_prune_logp,
            token_min_logp=token_min_logp,
            prune_history=prune_history,
            hotwords=None if hotwords is None else list(hotwords),
            hotword_weight=hotword_weight,
        )
        return self._map(pool, decode, logits_list)

    def decode_batch(
        self,
        pool: Pool | None,
        logits_list: Iterable[NDArray[Any]],
        beam_width: int = DEFAULT_BEAM_WIDTH,
        beam_prune_logp: float = DEFAULT_PRUNE_LOGP,
        token_min_logp: float = DEFAULT_MIN_TOKEN_LOGP,
        hotwords: Iterable[str] | None = None,
        hotword_weight: float = DEFAULT_HOTWORD_WEIGHT,
    ) -> list[str]:
        """The texts of many sequences; see :meth:`decode` and :meth:`decode_beams_batch`."""
        decode = functools.partial(
            self.decode,
            beam_width=beam_width,
            beam_prune_logp=beam_prune_logp,
            token_min_logp=token_min_logp,
            hotwords=None if hotwords is None else list(hotwords),
            hotword_weight=hotword_weight,
        )
        return self._map(pool, decode, logits_list)

    def _map(self, pool: Pool | None, decode: Callable[[Any], Any], logits_list: Iterable[NDArray[Any]]) -> list[Any]:
        logits_list = list(logits_list)
        for logits in logits_list:
            self._check_logits_dimension(logits)
        valid_pool = _get_valid_pool(pool)
        if valid_pool is None:
            return [decode(logits) for logits in logits_list]
        return valid_pool.map(decode, logits_list)

    def get_starting_state(self) -> tuple[list[Beam], Caches, dict[str, float]]:
        """What :meth:`partial_decode_beams` begins with: beams, and caches of the model's scores."""
        model = self._language_model
        caches: Caches = {} if model is None else {("", False): (0.0, 0.0, model.get_start_state())}
        return [EMPTY_START_BEAM], caches, {}

    def partial_decode_beams(
        self,
        logits: NDArray[Any],
        cached_lm_scores: Caches,
        cached_p_lm_scores: dict[str, float],  # noqa: ARG002  # beginnings of words are quick to weigh
        beams: list[Beam],
        processed_frames: int,
        beam_width: int = DEFAULT_BEAM_WIDTH,
        beam_prune_logp: float = DEFAULT_PRUNE_LOGP,
        token_min_logp: float = DEFAULT_MIN_TOKEN_LOGP,
        prune_history: bool = DEFAULT_PRUNE_BEAMS,
        hotword_scorer: HotwordScorer | None = None,
        force_next_word: bool = False,
        is_end: bool = False,
    ) -> list[LMBeam]:
        """Go on with beams over the next frames.

        Parameters
        ----------
        cached_lm_scores, cached_p_lm_scores : dict
            What was known of the beams' texts; what is known of those returned is added to the first.
        beams : list of Beam or LMBeam
            Those that :meth:`get_starting_state` gave, or the last call.
        processed_frames : int
            How many frames there were before.
        hotword_scorer : HotwordScorer, optional
        force_next_word : bool
            Whether to take the parts of words at the end for words.
        is_end : bool
            Whether the sequence ends here.

        See :meth:`decode_beams` for the others.
        """
        model = self._language_model
        weights = _weights(model)
        scorer = HotwordScorer.build_scorer() if hotword_scorer is None else hotword_scorer
        labels = {label: number for number, label in reversed(self._idx2vocab.items())}
        start = []
        for text, word, part, last, spans, part_span, log_prob, *_ in beams:
            text = self._joined(text, word, cached_lm_scores)
            _, lm_score, state = cached_lm_scores[text, False] if model is not None else (0.0, 0.0, None)
            number = -1 if last is None else labels[last]
            state = _to_native(weights, state)
            start.append(PartBeam(text, part, number, list(spans), part_span, log_prob, 0.0, lm_score, state))
        pruning = self._pruning(beam_width, beam_prune_logp, prune_history)
        closes = force_next_word or is_end
        found = self._search(logits, token_min_logp, pruning, scorer, start, processed_frames, closes, is_end)
        wrap = _wrapper(model)
        result = []
        for b in found:
            if model is not None:
                value = b.lm_score + scorer.score(b.text)
                cached_lm_scores[b.text, is_end] = value, b.lm_score, wrap(b.state)
            last = None if b.label < 0 else self._idx2vocab[b.label]
            result.append(LMBeam(b.text, "", b.part, last, b.frames, b.part_frames, b.log_prob, b.score))
        return result

    def _joined(self, text: str, word: str, caches: Caches) -> str:
        """A beam's text with the word that has just ended, whose score goes into the cache."""
        whole = _merge_tokens(text, word)
        model = self._language_model
        if model is not None and (whole, False) not in caches:
            _, before, state = caches[text, False]
            value, after = model.score(state, word)
            caches[whole, False] = before + value, before + value, after
        return whole

    def save_to_dir(self, filepath: str) -> None:
        """Write ``alphabet.json`` and, if there is a model, ``language_model/`` to a directory."""
        directory = Path(filepath)
        (directory / self._ALPHABET_SERIALIZED_FILENAME).write_text(self._alphabet.dumps(), encoding="utf-8")
        model = self._language_model
        if model is None:
            logger.info("decoder has no language model.")
            return
        place = directory / self._LANGUAGE_MODEL_SERIALIZED_DIRECTORY
        place.mkdir(parents=True)
        logger.info("Saving language model to %s", place)
        model.save_to_dir(str(place))

    @staticmethod
    def parse_directory_contents(filepath: str) -> dict[str, str | None]:
        """The parts of a directory that :meth:`save_to_dir` wrote; hidden files do not count.

        Raises
        ------
        ValueError
            If there is no ``alphabet.json``, or something else than a model beside it.
        """
        alphabet = BeamSearchDecoderCTC._ALPHABET_SERIALIZED_FILENAME
        place = BeamSearchDecoderCTC._LANGUAGE_MODEL_SERIALIZED_DIRECTORY
        contents = [p.name for p in Path(filepath).iterdir() if not p.name.startswith((".", "__"))]
        if alphabet not in contents:
            raise ValueError(f"Could not find alphabet file {alphabet}. Found {contents}")
        contents.remove(alphabet)
        if contents and place not in contents:
            raise ValueError(f"Count not find language model directory. Looking for {place}, found {contents}")
        return {
            "alphabet": str(Path(filepath, alphabet)),
            "language_model": str(Path(filepath, place)) if contents else None,
        }

    @classmethod
    def load_from_dir(cls, filepath: str, unigram_encoding: str | None = None) -> "BeamSearchDecoderCTC":
        """Read what :meth:`save_to_dir` wrote, or a folder of the Hugging Face hub.

        Raises
        ------
        ValueError
            For other files.
        """
        names = cls.parse_directory_contents(filepath)
        assert names["alphabet"] is not None
        alphabet = Alphabet.loads(Path(names["alphabet"]).read_text(encoding="utf-8"))
        place = names["language_model"]
        model = None if place is None else LanguageModel.load_from_dir(place, unigram_encoding=unigram_encoding)
        return cls(alphabet, language_model=model)

    @classmethod
    def load_from_hf_hub(cls, model_id: str, cache_dir: str | None = None, **kwargs: Any) -> "BeamSearchDecoderCTC":
        """Download a folder from the Hugging Face hub, and read it.

        Parameters
        ----------
        model_id : str
            As ``kensho/5gram-spanish-kenLM``.
        cache_dir : str, optional
            By default ``~/.cache/pyctcdecode``.
        **kwargs
            For ``huggingface_hub.snapshot_download``.

        Raises
        ------
        ImportError
            Without the package huggingface_hub.
        """
        try:
            from huggingface_hub import snapshot_download
        except ImportError:
            raise ImportError(
                "You need to install huggingface_hub to use `load_from_hf_hub`: pip install huggingface_hub"
            ) from None
        cache_dir = cache_dir or str(Path.home() / ".cache" / "pyctcdecode")
        return cls.load_from_dir(snapshot_download(model_id, cache_dir=cache_dir, **kwargs))


def _weights(model: AbstractLanguageModel | None) -> WordWeights | None:
    return model.weights if isinstance(model, LanguageModel) else None


def _to_native(weights: WordWeights | None, state: Any) -> Any:
    """A state as the search takes it: a number or a tuple where the model is ours."""
    if weights is None:
        return state
    state = state.state if isinstance(state, KenlmState) else state
    return state.context if isinstance(state, kenlm.State) else state


def _wrapper(model: AbstractLanguageModel | None) -> Callable[[Any], Any]:
    """What makes a state of the search one that a program sees."""
    if model is None:
        return lambda _state: None
    if _weights(model) is None:
        return lambda state: state
    return lambda state: KenlmState(kenlm.State(state) if isinstance(state, tuple) else state)


def build_ctcdecoder(
    labels: list[str],
    kenlm_model_path: str | None = None,
    unigrams: Collection[str] | None = None,
    alpha: float = DEFAULT_ALPHA,
    beta: float = DEFAULT_BETA,
    unk_score_offset: float = DEFAULT_UNK_LOGP_OFFSET,
    lm_score_boundary: bool = DEFAULT_SCORE_LM_BOUNDARY,
) -> BeamSearchDecoderCTC:
    """Make a decoder.

    Parameters
    ----------
    labels : list of str
        One for each class; see :meth:`Alphabet.build_alphabet`.
    kenlm_model_path : str, optional
        An ARPA file, or one of KenLM's binary files.
    unigrams : collection of str, optional
        The words that are known; by default those of an ARPA file. Without a model they do nothing.
    alpha, beta, unk_score_offset, lm_score_boundary
        See :class:`LanguageModel`.
    """
    model = None if kenlm_model_path is None else load_model(kenlm_model_path)
    if unigrams is None and kenlm_model_path is not None:
        if kenlm_model_path.endswith(".arpa"):
            unigrams = load_unigram_set_from_arpa(kenlm_model_path)
        else:
            logger.warning(
                "Unigrams not provided and cannot be automatically determined from LM file (only "
                "arpa format). Decoding accuracy might be reduced."
            )
    alphabet = Alphabet.build_alphabet(labels)
    if unigrams is not None:
        verify_alphabet_coverage(alphabet, unigrams)
    if model is None:
        return BeamSearchDecoderCTC(alphabet)
    language_model = LanguageModel(
        model,
        unigrams,
        alpha=alpha,
        beta=beta,
        unk_score_offset=unk_score_offset,
        score_boundary=lm_score_boundary,
    )
    return BeamSearchDecoderCTC(alphabet, language_model)
