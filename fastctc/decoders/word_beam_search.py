"""Word beam search."""

from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from math import inf
from typing import cast

import numpy as np

from fastctc import backends
from fastctc.alphabet import Alphabet
from fastctc.decoders.decoder import Decoder, check_beams
from fastctc.decoders.hot_words import Bonuses, HotWords, frozen_bonuses, hot_tree, words_of
from fastctc.decoders.stream import BeamStream, Stream
from fastctc.decoders.word_tracker import LMState, WordTracker
from fastctc.frames import Frames, Probabilities, Workspace, as_probabilities
from fastctc.hypothesis import Hypothesis, hypotheses, inexact
from fastctc.lexicon import Lexicon
from fastctc.lm.ngram import NGram
from fastctc.lm.word_model import WordModel
from fastctc.search_inputs import LexiconModel

MODES = ("words", "ngrams", "ngrams_forecast", "ngrams_forecast_and_sample")
COMPLETIONS = ("unique", "best", "forced")
CANDIDATES = 64  # completions of a word that are compared by their exact probability

Labels = tuple[int, ...]
Beam = tuple[Labels, float]  # labels, score


@dataclass(frozen=True)
class WordBeamSearch(Decoder):
    """Texts whose words are those of a lexicon, with anything else (digits, punctuation, blank spaces) between them.

    A prefix beam search that walks along the lexicon's prefix tree while it is inside a word. The alphabet says which
    characters are word characters. A language model may weigh the words.

    Parameters
    ----------
    lexicon : Lexicon
    beam_width : int, default 25
        How many prefixes survive a frame.
    lm : NGram, optional
        A model of words. The lexicon and the model may come from different texts.
    mode : str, optional
        "words": the lexicon alone; "ngrams": words that have ended are weighed; "ngrams_forecast": beginnings of words
        too, by the sum over all words that they may become; "ngrams_forecast_and_sample" is the same, since the exact
        sum costs no more than a sample. By default "words" without a model and "ngrams_forecast" with one.
    completion : {"unique", "best", "forced"}
        What to do about a word that is unfinished at the end. "unique": complete it if only one word begins so, as
        published; "best": complete it by the most probable word that begins so; "forced": the same, but texts that end
        in a whole word go first, so that all results consist of the lexicon's words.
    hot_words : mapping of str to float, its items, or iterable of str, optional
        Words of the lexicon, and phrases of them, to be preferred, and by how much: what is added to the score for
        each. Their beginnings are preferred as long as they may become one of them.
    hot_word_weight : float, default 5
        What each of the hot words adds that come without a number of their own.
    n_best : int, default 1
        How many hypotheses to return.
    rescore : bool, default False
        Whether to order the survivors by their true probability, with that of their words, not by the beam's sum.
    exact : bool, default True
        Whether to compute ``log_prob``, ``timesteps``, ``words`` and ``confidence``.
    backend : str, default "compiled"
        "reference" runs the plain Python specification.

    Raises
    ------
    ValueError
        For a beam width below 1, n_best not between 1 and the beam width, an unknown mode or completion, a mode without
        the model it needs, a model of characters, and a lexicon whose words are not made of word characters.

    Notes
    -----
    ``score``, as published: the logarithm of the beam's sum times the P(words)^(1/n) of its n words. ``lm_log_prob`` is
    log P(words) of the words that have ended, the last one included only if something follows it.

    References
    ----------
    H. Scheidl, S. Fiel, R. Sablatnig: Word Beam Search: A Connectionist Temporal Classification Decoding Algorithm,
    ICFHR 2018.

    Examples
    --------
    >>> from fastctc import Alphabet, Lexicon, WordBeamSearch
    >>> lexicon = Lexicon.from_words(["ab", "ba"], Alphabet("ab ", word_characters="ab"))
    >>> frames = [[0.9, 0, 0, 0.1], [0.6, 0.4, 0, 0], [0, 0, 0.9, 0.1], [0, 0.8, 0, 0.2], [0.4, 0, 0.2, 0.4]]
    >>> WordBeamSearch(lexicon).decode(probs=frames)[0].text
    'ab ba'
    """

    lexicon: Lexicon
    beam_width: int = 25
    _: KW_ONLY
    lm: NGram | None = None
    mode: str | None = None
    completion: str = "unique"
    hot_words: HotWords = None
    hot_word_weight: float = 5.0
    n_best: int = 1
    rescore: bool = False
    exact: bool = True
    backend: str = "compiled"

    def __post_init__(self) -> None:
        check_beams(self.beam_width, self.n_best)
        if self.mode is None:
            object.__setattr__(self, "mode", "words" if self.lm is None else "ngrams_forecast")
        if self.mode not in MODES:
            raise ValueError(f"mode must be one of {', '.join(MODES)}, got {self.mode!r}")
        if (self.mode == "words") != (self.lm is None):
            raise ValueError("lm must be given for all modes but words, and not for that")
        if self.lm is not None and not isinstance(self.lm, NGram):
            raise ValueError("lm must be an NGram: a KenLM knows no sums over words; see KenLM.to_ngram, BeamSearch")
        if self.lm is not None and self.lm.unit != "word":
            raise ValueError("lm must be a model of words, got one of characters")
        if self.completion not in COMPLETIONS:
            raise ValueError(f"completion must be one of {', '.join(COMPLETIONS)}, got {self.completion!r}")
        if self.alphabet.word_begin is not None:
            raise ValueError("the alphabet must be of characters, not of pieces of words: BeamSearch takes those")
        is_word = np.array(self.alphabet.is_word)
        if not is_word[self.lexicon.labels].all():
            bad = self.alphabet.symbols[self.lexicon.labels[int(np.argmin(is_word[self.lexicon.labels]))]]
            raise ValueError(f"the lexicon's words must be made of the alphabet's word characters, but one has {bad!r}")

        object.__setattr__(self, "hot_words", frozen_bonuses(self.alphabet, self.hot_words, self.hot_word_weight))
        if self.rescore and (self.hot_words or not self.exact):
            raise ValueError("rescore needs the true probabilities, exact must be True; and goes without hot_words")
        for word in words_of(self.alphabet, dict(self._bonuses)):
            if word not in self.lexicon:
                raise ValueError(f"hot_words must consist of words of the lexicon, but {word!r} is none")

    @property
    def alphabet(self) -> Alphabet:  # type: ignore[override]
        return self.lexicon.alphabet

    def stream(self) -> Stream:
        """Begin to decode a sequence whose frames arrive in pieces."""
        beams = backends.load(self.backend, "stream").StreamBeams(
            self.alphabet.n_classes, self.alphabet.blank, None, self._lexicon_model
        )
        compares = self.completion != "unique"  # completions, by their frames
        return Stream(self.alphabet, BeamStream(self, beams, compares), self.exact or compares, self.backend)

    @property
    def _bonuses(self) -> Bonuses:
        """The hot words, each with what it adds."""
        return cast(Bonuses, self.hot_words or ())

    @cached_property
    def _word_model(self) -> WordModel | None:
        return None if self.lm is None else WordModel.of(self.lexicon, self.lm)

    @cached_property
    def _lexicon_model(self) -> LexiconModel:
        """What the search has to know about the words."""
        lexicon, model = self.lexicon, self._word_model
        return LexiconModel(
            lexicon.tree,
            self.alphabet.is_word,
            self.alphabet.begins_word,
            forecast="forecast" in str(self.mode),
            tables=None if model is None else model.tables,
            sums=None if model is None else model.sums,
            start=0 if model is None else model.start,
            hot=hot_tree(self.alphabet, self._bonuses),
        )

    @property
    def _n_beams(self) -> int:
        """How many beams to look at."""
        simple = self.completion == "unique" and not self.rescore
        return self.n_best if simple else self.beam_width  # completed, several may be one

    def _prepare(self) -> None:
        _ = self._lexicon_model

    def _decode(self, batch: list[Frames], workspace: Workspace) -> list[list[Hypothesis]]:
        search = backends.load(self.backend, "beam_search").beam_search_batch
        frames = as_probabilities(batch, workspace)
        probs = [f.probs for f in frames]
        found = search(probs, self.alphabet.blank, self.beam_width, self._n_beams, None, self._lexicon_model)
        return [self._results(f, beams, self._start_state) for f, beams in zip(frames, found, strict=True)]

    @cached_property
    def _tracker(self) -> WordTracker:
        return WordTracker(self.lexicon, self._word_model, None, self.backend)

    @property
    def _start_state(self) -> LMState:
        return self._tracker.start

    def _follow(self, state: LMState, labels: Labels) -> LMState:
        return self._tracker.follow(state, labels)

    def _results(self, probabilities: Probabilities, found: list[Beam], before: LMState) -> list[Hypothesis]:
        """What the frames, and the words before them, tell about what was found."""
        whole, texts = [], {}
        for labels, score in found:
            state = self._follow(before, labels)
            longer = labels + self._completed(state, labels, probabilities)
            if longer not in texts:
                texts[longer] = score, state
                whole.append((longer == labels and self._tracker.ends_whole(state), longer))
        if self.completion == "forced":
            whole.sort(key=lambda one: not one[0])
        n_best = len(whole) if self.rescore else self.n_best
        chosen = [(labels, *texts[labels]) for _, labels in whole[:n_best]]
        if self.exact:
            results = [(probabilities, labels, score) for labels, score, _ in chosen]
            plain = hypotheses(self.alphabet, results, self.backend)
        else:
            decode = self.alphabet.decode
            plain = [inexact(decode(labels), labels, score) for labels, score, _ in chosen]
        if self.lm is not None:
            plain = [h._replace(lm_log_prob=past.log_prob) for h, (_, _, past) in zip(plain, chosen, strict=True)]
        if self.rescore:
            true = [
                h.log_prob + past.log_prob / max(1, past.n_words) for h, (*_, past) in zip(plain, chosen, strict=True)
            ]
            order = sorted(range(len(plain)), key=lambda i: (-true[i], plain[i].labels))
            plain = [plain[i] for i in order[: self.n_best]]
        return plain

    def _completed(self, state: LMState, labels: Labels, frames: Probabilities) -> Labels:
        """The labels that are missing in the last word."""
        if not state.word or (self.completion != "unique" and self._tracker.ends_whole(state)):
            return ()
        lexicon = self.lexicon
        node = lexicon.find(state.word)
        first, last = int(lexicon.words[node]), int(lexicon.words[lexicon.ends[node]])
        length = len(state.word)
        if self.completion == "unique":
            return lexicon.word_labels(first)[length:] if last - first == 1 else ()
        numbers = np.arange(first, last)
        weights = np.log(np.maximum(lexicon.priors[first:last], 1e-300))
        if self._word_model is not None:
            ngram = backends.load(self.backend, "ngram")
            weights = np.array([ngram.score(self._word_model.tables, state.state, [w])[0][0] for w in numbers])
        lengths = np.diff(lexicon.offsets[first : last + 1])
        likely = np.lexsort((numbers, lengths, -weights))[:CANDIDATES]
        log_probability = backends.load(self.backend, "loss").log_probability
        before = frames.behind + labels
        best, missing = -inf, lexicon.word_labels(int(numbers[likely[0]]))[length:]
        for place in likely.tolist():
            rest = lexicon.word_labels(int(numbers[place]))[length:]
            value = weights[place] + log_probability(frames.probs, before + rest, self.alphabet.blank, False)
            if value > best:
                best, missing = value, rest
        return missing
