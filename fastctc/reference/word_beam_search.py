"""Word beam search as published.

H. Scheidl, S. Fiel, R. Sablatnig: Word Beam Search: A Connectionist Temporal Classification Decoding Algorithm, ICFHR
2018, algorithm 1. A prefix tree says which labels may follow a prefix: within a word those of words that begin so,
between words all labels that are part of no word. A language model scores the words of the prefix. What ranks a
beam is the probability of its paths, as in prefix beam search, times P(text).

Modes: "words" has no model; "ngrams" scores words when they have ended; "ngrams_forecast" also scores the word that has
begun, by the sum over all words that it may become. The sampling of that sum, the fourth mode of the paper, is not
needed: the sum over a range of words is a look-up here (see :func:`fastctc.reference.ngram.forecast`).
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from math import exp, inf, log

from fastctc.reference import ngram
from fastctc.reference.lexicon import ends_word, find_child, words_below
from fastctc.search_inputs import KenLMWords, LexiconModel

Labels = tuple[int, ...]
TWIN = "fastctc.compiled.beam_search"


def word_beam_search(
    probs: Sequence[Sequence[float]], blank: int, beam_width: int, n_best: int, lexicon_model: LexiconModel
) -> list[tuple[Labels, float]]:
    """The ``n_best`` label sequences with the largest sums times P(text), best first, without completion of last words.

    Returns (labels, log of the product) pairs; prefixes of equal rank stand in lexicographic order. Hot words and
    shallow fusion are not part of the published algorithm: :mod:`fastctc.reference.beam_search` has them.
    """
    if lexicon_model.hot or lexicon_model.fusion:
        raise ValueError("the published word beam search knows no hot words and no shallow fusion")
    beams: dict[Labels, tuple[float, float]] = {(): (1.0, 0.0)}
    p_text: dict[Labels, float] = {(): 1.0}
    for row in probs:
        ends_blank: dict[Labels, float] = defaultdict(float)
        ends_label: dict[Labels, float] = defaultdict(float)
        for prefix, (p_blank, p_label) in beams.items():
            ends_blank[prefix] += (p_blank + p_label) * row[blank]
            if prefix:
                ends_label[prefix] += p_label * row[prefix[-1]]
            for label in _next_labels(lexicon_model, prefix, blank):
                longer = (*prefix, label)
                before = p_blank if prefix[-1:] == (label,) else p_blank + p_label
                ends_label[longer] += before * row[label]
                if longer not in p_text:
                    p_text[longer] = _p_text(lexicon_model, longer)
        sums = {prefix: (ends_blank[prefix], ends_label[prefix]) for prefix in ends_blank | ends_label}
        ranks = {prefix: sum(both) * p_text[prefix] for prefix, both in sums.items()}
        possible = [prefix for prefix, rank in ranks.items() if rank > 0.0]
        possible.sort(key=lambda prefix: (-ranks[prefix], prefix))
        beams = {prefix: sums[prefix] for prefix in possible[:beam_width]}
    return [(prefix, log(sum(both)) + log(p_text[prefix])) for prefix, both in beams.items()][:n_best]


def _next_labels(words: LexiconModel, prefix: Labels, blank: int) -> Iterator[int]:
    """The labels that may follow a prefix (getNextChars in the paper)."""
    node, _ = _words_of(words, prefix)
    for label, is_word_char in enumerate(words.is_word_char):
        goes_on = is_word_char and find_child(words.tree, node, label) >= 0
        ends = not is_word_char and (node < 0 or ends_word(words.tree, node))
        if (goes_on or ends) and label != blank:
            yield label


def _p_text(words: LexiconModel, prefix: Labels) -> float:
    """P(text) of a prefix (scoreBeam in the paper), normalised: the geometric mean over the words."""
    node, ended = _words_of(words, prefix)
    if words.tables is None or isinstance(words.tables, KenLMWords) or words.sums is None:
        return 1.0
    log_probs, state = ngram.score(words.tables, words.start, ended)
    if words.forecast and node >= 0:
        total = ngram.forecast(words.tables, words.sums, state, *words_below(words.tree, node))
        log_probs.append(log(total) if total > 0.0 else -inf)
    return exp(sum(log_probs) / max(1, len(log_probs)))


def _words_of(words: LexiconModel, prefix: Labels) -> tuple[int, list[int]]:
    """The node of the word that has begun, -1 between words, and the numbers of the words that have ended."""
    node, ended = -1, []
    for label in prefix:
        if words.is_word_char[label]:
            node = find_child(words.tree, node, label)
        elif node >= 0:
            ended.append(words_below(words.tree, node)[0])  # the word itself stands before those that it begins
            node = -1
    return node, ended
