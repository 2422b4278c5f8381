"""Beam search."""

from contextlib import suppress
from dataclasses import KW_ONLY, dataclass, replace
from functools import cached_property
from math import exp, inf, isfinite, nan
from os import PathLike
from typing import Any, cast

import numpy as np

from fastctc import backends
from fastctc.alphabet import Alphabet
from fastctc.decoders.decoder import Decoder, check_beams
from fastctc.decoders.hot_words import Bonuses, HotWords, frozen_bonuses, hot_tree, words_of
from fastctc.decoders.stream import BeamStream, Stream
from fastctc.decoders.word_tracker import LMState, WordTracker
from fastctc.frames import Frames, Probabilities, Workspace, as_probabilities
from fastctc.hypothesis import Hypothesis, hypotheses, inexact, with_dropped
from fastctc.lexicon import Lexicon
from fastctc.lm.kenlm import KenLM
from fastctc.lm.ngram import BEGIN, END, UNKNOWN, NGram
from fastctc.lm.sharing import Shared
from fastctc.lm.word_model import WordModel
from fastctc.search_inputs import CharacterModel, Fusion, LexiconModel, Thresholds

MARKS = BEGIN, END, UNKNOWN
OF_NO_WORDS = {"_tokens", "_character_model", "_thresholds"}  # what is the same whatever the hot words

Beam = tuple[tuple[int, ...], float]  # labels, score


@dataclass(frozen=True)
class BeamSearch(Decoder):
    """Prefix beam search: the most probable texts, summed over the paths that a beam of prefixes keeps.

    Per frame the beam_width most probable prefixes survive. Work is spent only on what may survive, so that the time
    is O(T (B log B + C)) for peaky frames of C classes and a beam width of B, and O(T B C) at worst; memory is O(T B).
    A character model costs about twice as much again.

    Parameters
    ----------
    alphabet : Alphabet
    beam_width : int, default 25
        How many prefixes survive a frame.
    lm : NGram or KenLM, optional
        A model of characters or of words (shallow fusion): what ranks a text is log P(text | frames)
        + lm_weight log P(text) + character_bonus length, or + word_bonus words, which is its ``score``; ``lm_log_prob``
        is log P(text). Beginnings of words are weighed by all words that they may become; with a KenLM, which knows no
        sums over words, words are weighed when they have ended. A model of characters that knows sentences (<s>, </s>)
        takes each sequence for one: its end counts too.
    lm_weight : float, default 0.5
        Greater than 0.
    character_bonus : float, default 0
        For each character of a text that a model of characters weighs, against its preference for short texts.
    character_lm : NGram, optional
        A model of characters (or pieces) beside one of words, with ``character_lm_weight`` (0.5) and
        ``character_bonus``.
    lexicon : Lexicon, optional
        The words that texts may consist of; anything but word characters may stand between them. By default all words
        of a model of words that the alphabet can spell.
    word_bonus : float, default 0
        For each word, where there is a lexicon or a model of words.
    unknown_log_prob : float, optional
        Log probability of words that are not in the lexicon. By default there must be none.
    hot_words : mapping of str to float, its items, or iterable of str, optional
        Words and phrases to be preferred, and by how much: what is added to the score for each. Their beginnings are
        preferred as long as they may become one of them. They are allowed, whatever the lexicon says.
    hot_word_weight : float, default 5
        What each of the hot words adds that come without a number of their own.
    token_min_log_prob : float, default -inf
        Classes that are less probable in a frame are not followed there, but for its most probable one.
    beam_prune_log_prob : float, default -inf
        Prefixes that are ranked lower than the best one, by more nats than this, do not survive the frame. Thresholds
        save time, the first where the network is unsure, both where the beam is wide; texts may get lost by them.
        ``dropped`` of the hypotheses says how much of all paths' probability they have dropped, at most.
    n_best : int, default 1
        How many hypotheses to return; fewer come back where fewer texts are possible.
    rescore : bool, default False
        Whether to order the survivors by their true probability (with the model's share), not by what the beam summed.
    exact : bool, default True
        Whether to compute ``log_prob`` (the true one: a beam's own sum, its ``score``, is a lower bound),
        ``timesteps``, ``words`` and ``confidence`` of the hypotheses returned.
    backend : str, default "compiled"
        "reference" runs the plain Python specification.

    Raises
    ------
    ValueError
        For a beam width below 1, thresholds above 0, n_best not between 1 and the beam width, a weight that is not
        positive and finite, bonuses that are not finite, a model of characters together with a lexicon or hot words,
        words that the alphabet cannot spell, and rescore without exact or with hot words.

    Notes
    -----
    Ties are broken by the labels: of equal hypotheses the one that comes first in lexicographic order is kept.

    References
    ----------
    A. Graves: Supervised Sequence Labelling with Recurrent Neural Networks, 2012, section 7.5.
    A. Y. Hannun, A. L. Maas, D. Jurafsky, A. Y. Ng: First-Pass Large Vocabulary Continuous Speech Recognition using
    Bi-Directional Recurrent DNNs, 2014.

    Examples
    --------
    >>> from fastctc import Alphabet, BeamSearch
    >>> best = BeamSearch(Alphabet("ab")).decode(probs=[[0.4, 0, 0.6], [0.4, 0, 0.6]])[0]
    >>> best.text, best.confidence, best.timesteps
    ('a', 0.64, (1,))
    """

    alphabet: Alphabet
    beam_width: int = 25
    _: KW_ONLY
    lm: NGram | KenLM | None = None
    lm_weight: float = 0.5
    character_bonus: float = 0.0
    character_lm: NGram | None = None
    character_lm_weight: float = 0.5
    lexicon: Lexicon | None = None
    word_bonus: float = 0.0
    unknown_log_prob: float | None = None
    hot_words: HotWords = None
    hot_word_weight: float = 5.0
    token_min_log_prob: float = -inf
    beam_prune_log_prob: float = -inf
    n_best: int = 1
    rescore: bool = False
    exact: bool = True
    backend: str = "compiled"

    def __post_init__(self) -> None:
        check_beams(self.beam_width, self.n_best)
        for name in ("lm_weight", "character_lm_weight"):
            if not 0 < getattr(self, name) < inf:
                raise ValueError(f"{name} must be positive and finite, got {getattr(self, name)}")
        for name in ("character_bonus", "word_bonus"):
            if not isfinite(getattr(self, name)):
                raise ValueError(f"{name} must be finite, got {getattr(self, name)}")
        for name in ("token_min_log_prob", "beam_prune_log_prob"):
            if not getattr(self, name) <= 0:
                raise ValueError(f"{name} must not be above 0, got {getattr(self, name)}")
        if self.unknown_log_prob is not None and not -inf < self.unknown_log_prob <= 0:
            raise ValueError(f"unknown_log_prob must be finite and not above 0, got {self.unknown_log_prob}")
        if self.lm is not None and self.lm.unit == "character" and (self.lexicon is not None or self.hot_words):
            raise ValueError("a model of characters goes without lexicon and hot words")
        if self.lexicon is not None and self.lexicon.alphabet != self.alphabet:
            raise ValueError("the lexicon must be made for the same alphabet")
        if self.character_lm is not None and (
            self.character_lm.unit != "character" or self.lm is None or self.lm.unit == "character"
        ):
            raise ValueError("character_lm must be a model of characters, beside one of words as lm")
        object.__setattr__(self, "hot_words", frozen_bonuses(self.alphabet, self.hot_words, self.hot_word_weight))
        if self.rescore and self.hot_words:
            raise ValueError("rescore goes without hot_words")
        if self.rescore and not self.exact:
            raise ValueError("rescore needs the true probabilities: exact must be True")

    @classmethod
    def from_hub_folder(cls, path: str | PathLike[str], **options: Any) -> "BeamSearch":
        """Make a decoder from a folder of the Hugging Face hub that has been downloaded.

        Parameters
        ----------
        path : str or path-like
            It holds ``alphabet.json`` (as pyctcdecode writes it), ``vocab.json`` or ``tokenizer.json``, and perhaps
            ``language_model/`` with a model (ARPA or KenLM's binary file), ``attrs.json`` with its weights, and
            ``unigrams.txt`` with the words of the lexicon. Words that are not among them are possible, at the cost that
            the weights say.
        **options
            Parameters of the decoder, instead of what the folder says.

        Raises
        ------
        OSError, ValueError
            If a file is missing, cannot be read, or holds something else.

        Notes
        -----
        The search is that of this class. :mod:`fastctc.compat.pyctcdecode` finds the texts that pyctcdecode finds, with
        its thresholds and its weights of beginnings of words.
        """
        from fastctc.decoders import hub_folder

        return cls(**{**hub_folder.read(path), **options})

    def with_hot_words(self, hot_words: HotWords, hot_word_weight: float | None = None) -> "BeamSearch":
        """The same decoder with other hot words, as they change from call to call.

        It shares what has been made of the lexicon and the model, and takes well below a millisecond for each hot word.
        Words that the lexicon does not have cost more: a lexicon with them is made anew.

        Parameters
        ----------
        hot_words, hot_word_weight
            As of the class; None leaves the weight as it is.

        Examples
        --------
        >>> from fastctc import Alphabet, BeamSearch
        >>> decoder = BeamSearch(Alphabet("ab "))
        >>> probs = [[0.55, 0.45, 0, 0], [0, 0, 0, 1]]
        >>> [decoder.with_hot_words(words).decode(probs=probs)[0].text for words in ([], ["b"])]
        ['a', 'b']
        """
        weight = self.hot_word_weight if hot_word_weight is None else hot_word_weight
        other = replace(self, hot_words=hot_words, hot_word_weight=weight)
        other.__dict__.update({name: made for name, made in self.__dict__.items() if name in OF_NO_WORDS})
        return other

    def stream(self) -> Stream:
        """Begin to decode a sequence whose frames arrive in pieces."""
        beams = backends.load(self.backend, "stream").StreamBeams(
            self.alphabet.n_classes, self.alphabet.blank, self._character_model, self._lexicon_model, self._thresholds
        )
        return Stream(self.alphabet, BeamStream(self, beams), self.exact, self.backend)

    @property
    def _bonuses(self) -> Bonuses:
        """The hot words, each with what it adds."""
        return cast(Bonuses, self.hot_words or ())

    @property
    def _has_words(self) -> bool:
        return self.lexicon is not None or bool(self.hot_words) or (self.lm is not None and self.lm.unit == "word")

    @cached_property
    def _tracker(self) -> WordTracker | None:
        """What follows the words of a text, if the decoder knows words."""
        if not self._has_words:
            return None
        alphabet, unknown = self.alphabet, self.unknown_log_prob
        hot = words_of(alphabet, dict(self._bonuses))
        lexicon = self.lexicon
        if lexicon is None and self.lm is not None:
            lexicon = self._lexicon_of(self.lm)
        if lexicon is None:
            lexicon = Lexicon.from_words(list(dict.fromkeys(hot)), alphabet)
        elif new := tuple(sorted({word for word in hot if word not in lexicon})):
            lexicon = Lexicon.from_words([*lexicon.all_words(), *new], alphabet)
        if self.lexicon is None and self.lm is None:
            unknown = 0.0  # hot words alone: all others are allowed too
        model = None if self.lm is None else WordModel.of(lexicon, self.lm)
        return WordTracker(lexicon, model, unknown, self.backend)

    def _lexicon_of(self, lm: NGram | KenLM) -> Lexicon:
        """All words of a model that the alphabet can spell; made once for all decoders that have both."""
        return _LEXICA.get(lm, self.alphabet, lambda: self._new_lexicon(lm))

    def _new_lexicon(self, lm: NGram | KenLM) -> Lexicon:
        words = self._spellable(lm)
        self._check_spelling(lm, words)
        return Lexicon.from_words(words, self.alphabet)

    def _spellable(self, lm: NGram | KenLM) -> list[str]:
        """Words of a model that the alphabet can spell."""
        alphabet = self.alphabet
        if alphabet.word_begin is None and all(len(c) == 1 for c in alphabet.characters if c not in alphabet.special):
            allowed = {c for c, is_word in zip(alphabet.symbols, alphabet.is_word, strict=True) if is_word}
            return [word for word in lm.vocabulary if word and allowed.issuperset(word)]
        words = []
        for word in lm.vocabulary:
            with suppress(ValueError):
                if word not in MARKS and alphabet.encode(word):
                    words.append(word)
        return words

    def _check_spelling(self, lm: NGram | KenLM, words: list[str]) -> None:
        """Refuse a model of which the alphabet can spell nothing."""
        asked = [word for word in lm.vocabulary if word and word not in MARKS]
        if words or not asked:
            return
        reason = ""
        known = set("".join(self.alphabet.characters))
        for name, change in (("upper", str.upper), ("lower", str.lower)):
            fit = sum(known.issuperset(change(word)) for word in asked)
            if fit:
                reason = f": the alphabet is in {name} case, and {fit} words would fit if the model were too"
        raise ValueError(f"lm must have words that the alphabet can spell, but of its {len(asked)} none can be{reason}")

    @cached_property
    def _lexicon_model(self) -> LexiconModel | None:
        """What the search has to know about words."""
        tracker = self._tracker
        if tracker is None:
            return None
        unknown = nan if tracker.unknown is None else tracker.unknown
        weight = 0.0 if self.lm is None else self.lm_weight
        fusion = Fusion(weight, self.word_bonus, unknown)
        lexicon, model = tracker.lexicon, tracker.model
        return LexiconModel(
            lexicon.tree,
            self.alphabet.is_word,
            self.alphabet.begins_word,
            forecast=False,
            tables=None if model is None else model.tables,
            sums=None if model is None else model.sums,
            start=0 if model is None else model.start,
            hot=hot_tree(self.alphabet, self._bonuses),
            fusion=fusion,
        )

    @cached_property
    def _thresholds(self) -> Thresholds | None:
        """What the search has to know about thresholds."""
        if self.token_min_log_prob == self.beam_prune_log_prob == -inf:
            return None
        return Thresholds(exp(self.token_min_log_prob), exp(self.beam_prune_log_prob))

    @property
    def _weighed_characters(self) -> tuple[NGram, float] | None:
        """The model of characters, and its weight."""
        if self.character_lm is not None:
            return self.character_lm, self.character_lm_weight
        return (self.lm, self.lm_weight) if isinstance(self.lm, NGram) and self.lm.unit == "character" else None

    @cached_property
    def _tokens(self) -> list[int]:
        """The number of each class for the model of characters."""
        assert self._weighed_characters is not None
        return self._weighed_characters[0].numbers(self.alphabet.symbols)

    @cached_property
    def _character_model(self) -> CharacterModel | None:
        """What the search has to know about characters."""
        if self._weighed_characters is None:
            return None
        lm, weight = self._weighed_characters
        ceilings = lm.ceilings[self._tokens].tolist()
        tokens = np.array(self._tokens, np.int32)
        end = lm.vocabulary.number(END)
        return CharacterModel(lm.tables, lm.start, tokens, ceilings, weight, self.character_bonus, end)

    def _prepare(self) -> None:
        _ = self._character_model, self._lexicon_model

    def _decode(self, batch: list[Frames], workspace: Workspace) -> list[list[Hypothesis]]:
        search = backends.load(self.backend, "beam_search").beam_search_batch
        frames = as_probabilities(batch, workspace)
        probs = [f.probs for f in frames]
        models = self._character_model, self._lexicon_model
        thresholds, dropped = self._thresholds, list[float]()
        found = search(
            probs,
            self.alphabet.blank,
            self.beam_width,
            self._n_beams,
            *models,
            thresholds,
            dropped if thresholds else None,
        )
        result = self._hypotheses(frames, found, self._start_state)
        return [with_dropped(*one) for one in zip(result, dropped, strict=True)] if thresholds else result

    @property
    def _n_beams(self) -> int:
        return self.beam_width if self.rescore else self.n_best

    def _results(self, probabilities: Probabilities, found: list[Beam], before: LMState) -> list[Hypothesis]:
        return self._hypotheses([probabilities], [found], before)[0]

    @property
    def _start_state(self) -> LMState:
        """Where a text begins."""
        if self._tracker is not None:
            return self._tracker.start
        return LMState((), self.lm.start if isinstance(self.lm, NGram) else 0)

    def _hypotheses(
        self, frames: list[Probabilities], found: list[list[Beam]], before: LMState
    ) -> list[list[Hypothesis]]:
        """What the frames, and the model after what came before, tell about what was found."""
        if self.exact:
            results = [(f, labels, score) for f, beams in zip(frames, found, strict=True) for labels, score in beams]
            flat = iter(hypotheses(self.alphabet, results, self.backend))
            result = [[next(flat) for _ in beams] for beams in found]
        else:
            decode = self.alphabet.decode
            result = [[inexact(decode(labels), labels, score) for labels, score in beams] for beams in found]
        if self.lm is not None:
            result = [
                [h._replace(lm_log_prob=self._end(self._follow(before, h.labels)).log_prob) for h in beams]
                for beams in result
            ]
        if self.rescore:
            result = [sorted(beams, key=self._true_score)[: self.n_best] for beams in result]
        return result

    def _follow(self, state: LMState, labels: tuple[int, ...]) -> LMState:
        """The model's state after some more labels."""
        if self._tracker is not None:
            return self._tracker.follow(state, labels)
        if not isinstance(self.lm, NGram):
            return state
        return self._spelled(self.lm, state, [self._tokens[label] for label in labels])

    def _end(self, state: LMState) -> LMState:
        if self._tracker is not None:
            return self._tracker.end(state)
        return self._spelled(self.lm, state, _ends(self.lm)) if isinstance(self.lm, NGram) else state

    def _spelled(self, lm: NGram, state: LMState, tokens: list[int]) -> LMState:
        """The state of a model of characters after some more of them."""
        log_probs, lm_state = backends.load(self.backend, "ngram").score(lm.tables, state.state, tokens)
        return state._replace(state=lm_state, log_prob=state.log_prob + sum(log_probs))

    def _true_score(self, one: Hypothesis) -> tuple[float, tuple[int, ...]]:
        score = one.log_prob
        if one.lm_log_prob is not None:
            score += self.lm_weight * one.lm_log_prob
        if self._tracker is not None:
            score += self.word_bonus * len(self.alphabet.words(one.labels))
        if self._weighed_characters is not None:
            score += self.character_bonus * len(one.labels)
        if self.character_lm is not None:
            tokens = [self._tokens[label] for label in one.labels] + _ends(self.character_lm)
            start = LMState((), self.character_lm.start)
            score += self.character_lm_weight * self._spelled(self.character_lm, start, tokens).log_prob
        return -score, one.labels


def _ends(lm: NGram) -> list[int]:
    """The token at the end of a text, if the model knows one."""
    return [number] if (number := lm.vocabulary.number(END)) >= 0 else []


_LEXICA: Shared[NGram | KenLM, Alphabet, Lexicon] = Shared()
