"""What a beam search knows about the words of a prefix, and how each label changes it.

The words of a text are weighed in one of two ways:

- As in the published word beam search (Scheidl, Fiel, Sablatnig 2018; :mod:`fastctc.reference.word_beam_search`): a
  prefix weighs the geometric mean of the probabilities of its words.
- In shallow fusion (C. Gulcehre et al.: On Using Monolingual Corpora in Neural Machine Translation, 2015): when a word
  ends, it multiplies the probability of its prefix for good. Until then the prefix weighs as much as all words
  that it may become.

Hot words multiply in both ways. The beginning of a phrase weighs a share of the phrase's bonus as long as the text may
become the phrase, and the whole bonus stays when the phrase has ended.
"""

from math import exp, inf, isnan, log
from typing import Any

from fastctc.reference import ngram
from fastctc.reference.lexicon import ends_word, find_child, words_below
from fastctc.search_inputs import Fusion, KenLMWords, LexiconModel, PrefixState

BETWEEN_WORDS, UNKNOWN_WORD = -1, -2  # lexicon nodes that are none


def start_state(words: LexiconModel) -> PrefixState:
    """The state of the empty prefix."""
    return PrefixState(BETWEEN_WORDS, words.start, 0, 0.0, 1.0)


def next_state(words: LexiconModel, state: PrefixState, label: int) -> PrefixState | None:
    """The state of a prefix after one more label; None if the label must not follow."""
    if words.fusion:
        return _next_fused(words, words.fusion, state, label)
    return _next_published(words, state, label)


def final_weight(words: LexiconModel, state: PrefixState) -> float | None:
    """What weighs a prefix if the text ends with it; None if it ends within a word that must not stand there."""
    if words.fusion:
        ended = _end_word(words, words.fusion, state)
        return None if ended is None else ended.factor
    in_word = state.lexicon_node >= 0
    return state.plain_weight * (exp(_hot_bonus(words, state.hot_node)) if in_word else 1.0)


def _next_published(words: LexiconModel, state: PrefixState, label: int) -> PrefixState | None:
    begins_word = words.is_word_char[label] and state.lexicon_node == BETWEEN_WORDS
    hot_node = _next_hot_node(words, state.hot_node, label, begins_word)
    if words.is_word_char[label]:
        node = find_child(words.tree, state.lexicon_node, label)
        if node < 0:
            return None
        weight = state.plain_weight
        if words.forecast:
            weight = _geometric_mean(state.lm_log_prob + _forecast(words, state.lm_state, node), state.n_words + 1)
        state = state._replace(lexicon_node=node, plain_weight=weight, factor=1.0)
    elif state.lexicon_node == BETWEEN_WORDS:
        state = state._replace(factor=1.0)
    elif not ends_word(words.tree, state.lexicon_node):
        return None
    else:
        factor = exp(_hot_bonus(words, state.hot_node))
        if words.tables is not None:
            word, _ = words_below(words.tree, state.lexicon_node)
            [log_prob], lm_state = ngram.score(words.tables, state.lm_state, [word])
            total, n_words = state.lm_log_prob + log_prob, state.n_words + 1
            state = state._replace(
                lm_state=lm_state, n_words=n_words, lm_log_prob=total, plain_weight=_geometric_mean(total, n_words)
            )
        state = state._replace(lexicon_node=BETWEEN_WORDS, factor=factor)
    return state._replace(hot_node=hot_node, weight=state.plain_weight * exp(_hot_share(words, hot_node)))


def _next_fused(words: LexiconModel, fusion: Fusion, state: PrefixState, label: int) -> PrefixState | None:
    old_hot_node = state.hot_node
    if state.lexicon_node != BETWEEN_WORDS and (not words.is_word_char[label] or words.starts_word[label]):
        ended = _end_word(words, fusion, state)
        if ended is None:
            return None
        state = ended
    else:
        state = state._replace(factor=1.0)
    begins_word = words.is_word_char[label] and state.lexicon_node == BETWEEN_WORDS
    hot_node = _next_hot_node(words, old_hot_node, label, begins_word)
    if not words.is_word_char[label]:
        return state._replace(hot_node=hot_node, weight=exp(_hot_share(words, hot_node)))
    node = UNKNOWN_WORD
    if state.lexicon_node != UNKNOWN_WORD:
        child = find_child(words.tree, state.lexicon_node, label)
        node = child if child >= 0 else UNKNOWN_WORD
    any_word = not isnan(fusion.unknown)
    if node == UNKNOWN_WORD and not any_word:
        return None
    ahead = 0.0  # log probability of all words that it may become, unknown ones included
    if words.tables is not None and node >= 0:
        ahead = _forecast(words, state.lm_state, node)
    if any_word:
        ahead = max(ahead, fusion.unknown) if node >= 0 else fusion.unknown
    weight = exp(fusion.weight * ahead + _hot_share(words, hot_node))
    return state._replace(lexicon_node=node, hot_node=hot_node, weight=weight)


def _end_word(words: LexiconModel, fusion: Fusion, state: PrefixState) -> PrefixState | None:
    """The state in shallow fusion when the last word, if there is one, has ended; None if it must not end there."""
    node, lm_state = state.lexicon_node, state.lm_state
    if node == BETWEEN_WORDS:
        return state._replace(factor=1.0)
    known = node >= 0 and ends_word(words.tree, node)
    if not known and isnan(fusion.unknown):
        return None
    log_prob = 0.0 if known else fusion.unknown
    if words.tables is not None:
        [value], lm_state = ngram.score(words.tables, lm_state, [words_below(words.tree, node)[0] if known else -1])
        log_prob = value if known else log_prob
    score = fusion.weight * log_prob + fusion.bonus + _hot_bonus(words, state.hot_node)
    factor = exp(score) if log_prob > -inf else 0.0
    return PrefixState(BETWEEN_WORDS, lm_state, state.n_words + 1, state.lm_log_prob + log_prob, 1.0, factor)


def _forecast(words: LexiconModel, lm_state: Any, node: int) -> float:
    """Log probability, after a state of the model, of all words that begin as the node says."""
    if isinstance(words.tables, KenLMWords):  # whose words are weighed when they end
        return 0.0
    assert words.tables is not None
    assert words.sums is not None
    total = ngram.forecast(words.tables, words.sums, lm_state, *words_below(words.tree, node))
    return log(total) if total > 0.0 else -inf


def _geometric_mean(log_prob: float, n_words: int) -> float:
    return exp(log_prob / n_words)


def _next_hot_node(words: LexiconModel, hot_node: int, label: int, begins_word: bool) -> int:
    """A phrase goes on, blank spaces included; where it does not, another may begin with the beginning of a word."""
    if words.hot is None:
        return -1
    node = find_child(words.hot, hot_node, label) if hot_node >= 0 else -1
    return find_child(words.hot, -1, label) if node < 0 and begins_word else node


def _hot_share(words: LexiconModel, hot_node: int) -> float:
    """What the beginning of a phrase adds to the score while the text may become the phrase."""
    return float(words.hot.partial[hot_node]) if words.hot and hot_node >= 0 else 0.0


def _hot_bonus(words: LexiconModel, hot_node: int) -> float:
    """What the phrase that ends at a node adds to the score."""
    return float(words.hot.whole[hot_node]) if words.hot and hot_node >= 0 else 0.0
