"""What searches take besides frames: the data that the public layer, the reference and compiled code hand each other.

Compiled code reads the fields by name, so that fields may be added, and none can be taken for another.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple


class PrefixTree(NamedTuple):
    """The words of a lexicon as a tree, nodes in preorder; see :func:`fastctc.reference.lexicon.prefix_tree`.

    All three arrays have an entry for each node but the root, and one for the end.
    """

    node_labels: Any  # int32: the label of each node; -1 at the end
    ends: Any  # int32: the node after its subtree; the number of nodes at the end
    words: Any  # int32: how many words stand before it; the number of words at the end


class NGramTables(NamedTuple):
    """An n-gram model as a tree of its n-grams; see :func:`fastctc.reference.ngram.score`."""

    words: Any  # int32: the last token of each node; -1 of node 0, the empty n-gram
    log_probs: Any  # float32: its log probability given the tokens before it
    backoffs: Any  # float32: log back-off weights of the nodes that may have children
    children: Any  # int32: where the children of each of these begin, and the end
    suffixes: Any  # int32: the longest n-gram of the model that ends each node
    uniform: bool  # add-k: what never followed a history is equally probable after it
    unknown: float  # log probability of a token that is not in the model


class RunningSums(NamedTuple):
    """Sums over the first children of each node, float64; see :func:`fastctc.reference.ngram.forecast`."""

    own: Any  # of their probabilities
    lower: Any  # of the probabilities that the shorter history gives the same tokens


class HashedLevel(NamedTuple):
    """The n-grams of one length in a KenLM file of hash tables; see :mod:`fastctc.reference.kenlm`."""

    place: int  # the byte where its slots begin
    n_slots: int
    slot_size: int  # bytes: a key of 8, the log probability of 4, and more


class TrieLevel(NamedTuple):
    """The n-grams of one length in a KenLM file of tries; see :mod:`fastctc.reference.kenlm`."""

    place: int  # the byte where its entries begin, packed bit by bit
    n_entries: int
    word_bits: int  # of the word's number, which stands first in an entry
    prob_bits: int  # of a probability: 31, a float without its sign, unless quantised
    backoff_bits: int  # of a back-off weight: 32, a float, unless quantised; 0 in the last level
    next_bits: int  # of the place where the entries of the next length begin, lower part; 0 in the last level
    heads: int  # the byte where the array of its upper parts begins; 0: there is none
    n_heads: int
    centers: int  # the byte where the quantised probabilities begin, then the weights; 0: there are none


class KenLMTables(NamedTuple):
    """A KenLM file and what is where in it; see :mod:`fastctc.reference.kenlm`."""

    data: Any  # uint8: the whole file
    order: int
    n_words: int  # how many different numbers words have; 0 is that of unknown ones
    hashed: bool  # hash tables, or tries
    vocabulary: int  # the byte where the hashes of the words begin
    n_slots: int  # of the vocabulary's hash table; or the words of a trie, whose hashes are sorted
    unigrams: int  # the byte where the 1-grams begin
    unigram_size: int  # bytes
    levels: tuple[HashedLevel, ...] | tuple[TrieLevel, ...]  # of the lengths from 2 on


class KenLMWords(NamedTuple):
    """A KenLM file, and its numbers of a lexicon's words; states are contexts, see :mod:`fastctc.reference.kenlm`.

    It takes the place of :class:`NGramTables` where words are weighed when they have ended.
    """

    tables: KenLMTables
    numbers: Any  # int32: the file's number of each word; 0: the file does not know it


class Thresholds(NamedTuple):
    """What a beam search drops although it might survive."""

    class_floor: float  # the least probability of a class in a frame, but for its most probable one; 0: none
    beam_floor: float  # the least rank of a beam, as a share of the best one's; 0: none


class CharacterModel(NamedTuple):
    """A language model over the labels, in a beam search."""

    tables: NGramTables
    start: int  # state of the empty text
    tokens: Any  # int32: the model's number of each class
    ceilings: Sequence[float]  # the highest log probability of each class after any history
    weight: float  # exponent of the model's probabilities
    bonus: float  # added to the log probability of each label
    end: int  # the model's number of the end of a text, -1 if it knows none


class HotWordTree(NamedTuple):
    """Words and phrases to be preferred, as a prefix tree over all labels, blank spaces included."""

    node_labels: Any  # int32, as in PrefixTree
    ends: Any  # int32, as in PrefixTree
    partial: Any  # float64: of each node, what its prefix is worth as long as it may become one of them
    whole: Any  # float64: of each node, what the phrase that ends there is worth; 0 if there is none


class Fusion(NamedTuple):
    """Shallow fusion: every word that has ended multiplies the probability of its prefix."""

    weight: float  # exponent of the model's probabilities
    bonus: float  # for each word
    unknown: float  # log probability of a word that is not in the lexicon; NaN: there must be none


class LexiconModel(NamedTuple):
    """A lexicon whose words stand in texts, with anything but word characters between them."""

    tree: PrefixTree
    is_word_char: Sequence[bool]  # of each class, whether it is part of words
    starts_word: Sequence[bool]  # of each class, whether it begins a word even within another (pieces of words)
    forecast: bool  # whether the model weighs beginnings of words, by all words that they may become
    tables: NGramTables | KenLMWords | None  # of a model of words, numbered as in the tree
    sums: RunningSums | None  # of the same model; None for KenLMWords
    start: Any  # the model's state of the empty text
    hot: HotWordTree | None = None
    fusion: Fusion | None = None  # None: words are weighed as in the published word beam search


class PrefixState(NamedTuple):
    """What a lexicon model knows about a prefix; see :mod:`fastctc.reference.lexicon_model`."""

    lexicon_node: int  # of the prefix tree; -1 between words, -2 in a word that is not in the lexicon
    lm_state: int  # the model's state after all words that have ended
    n_words: int  # how many words have ended
    lm_log_prob: float  # log probability of the words that have ended
    weight: float  # the prefix is ranked by the probability of its paths times this
    factor: float = 1.0  # the last label has multiplied the probability of the paths by this
    hot_node: int = -1  # of the tree of hot words; -1 in none of them
    plain_weight: float = 1.0  # the weight without the share of the hot words


class Bigrams(NamedTuple):
    """How probable words are after others: logarithms, by the numbers of the lexicon's words."""

    first: Any  # float64: of each word as the first
    single: Any  # float64: of each word, if it never followed the one before ...
    backoffs: Any  # float64: ... together with this of the one before
    starts: Any  # int64: where in the next two the successors of each word begin, and the end
    successors: Any  # int32: words that did follow, sorted
    log_probs: Any  # float64: and how probable they are


class Tokens(NamedTuple):
    """Strings, one after the other in UTF-8."""

    text: Any  # uint8
    offsets: Any  # int64: where in text each begins, and the end


class Pieces(NamedTuple):
    """What the labels of a network add to a text; see :func:`fastctc.reference.pruned_search`."""

    on: Tokens  # what each adds to a word that has begun
    first: Tokens  # what each begins a word with, if it begins one
    kinds: Any  # int8: 0 the blank, 1 ends a word, 2 begins a word, 3 goes on with one
    closes: Any  # uint8: 1 if what follows begins a word
    same: Any  # int32: the first label with the same string, which is this one but where labels come twice
    is_prefix_code: bool  # whether none begins a word and no string begins another: words have one spelling


class ChosenLabels(NamedTuple):
    """The labels of each frame that a search follows, in the order in which it does."""

    labels: Any  # int32
    log_probs: Any  # float64: natural logarithms
    offsets: Any  # int64: where those of each frame begin, and the end


class Pruning(NamedTuple):
    """What a search with thresholds keeps."""

    beam_width: int
    beam_floor: float  # how far below the best a beam may be, <= 0
    history: int  # of beams that have the same last words, as many as this, the best is kept; 0: all are


class WordWeights(NamedTuple):
    """What words are worth, by an n-gram model, when they end and before."""

    tables: "NGramTables | KenLMTables"
    words: Tokens | None  # the model's tokens, sorted; None: the model of KenLM knows
    known: Tokens | None  # the words that are known, sorted; None: those of the model, and beginnings are not
    weight: float  # of the model's log probabilities
    bonus: float  # for each word
    unknown: float  # log10 probability added for words that are not known, and for beginnings of such
    usual: int  # characters of a beginning beyond which an unknown one is worth less in proportion
    unknown_number: int  # the model's number of words that it does not have
    end: int  # the model's number of the end of a text; -1: the end is not weighed


class PreferredWords(NamedTuple):
    """Words to be preferred, and by how much."""

    words: Tokens  # sorted
    weight: float


class PartBeam(NamedTuple):
    """A beam between two pieces of a sequence."""

    text: str  # the words that have ended, a blank space between any two
    part: str  # what has begun
    label: int  # the last one, -1 if there was none
    frames: list[tuple[int, int]]  # of the words that have ended: the first frame, and the one after the last
    part_frames: tuple[int, int]  # of what has begun; (-1, -1) if nothing has
    log_prob: float
    score: float  # with what models and preferred words add
    lm_score: float  # what the model has added for the words that have ended
    state: Any  # the model's state after them


class PathOptions(NamedTuple):
    """How a search over paths weighs and prunes."""

    beam_width: int
    tokens_per_frame: int  # the best of a frame that may go on a path
    threshold: float  # how far below the best path of a frame others may be
    lm_weight: float
    word_bonus: float
    unknown_bonus: float  # for an unknown word; -inf: there must be none
    silence_bonus: float  # for each frame of silence
    log_add: bool  # whether paths that agree are added, or the best of them counts
    token_model: bool  # whether the language model knows tokens or words


class SpellingTree(NamedTuple):
    """Words by their spellings: the root, and behind it the children of each node side by side, sorted by token.

    A word may have several spellings, and a spelling several words.
    """

    tokens: Any  # int32: the token of each node; -1 of the root
    children: Any  # int32: where the children of each node begin, and the end
    parents: Any  # int32: -1 of the root
    bounds: Any  # float32: what the words below are worth to the language model, at most (smeared), or 0
    offsets: Any  # int32: where the words of each node begin, and the end
    words: Any  # int32


class PathKenLM(NamedTuple):
    """A KenLM file, which gives logarithms to base 10 in single precision."""

    tables: KenLMTables
    numbers: Any  # int32: the model's number of each token, or of each word


class AskedModel(NamedTuple):
    """A model that is asked: states are numbers, the same for what the model holds to be the same."""

    start: Any  # () -> state
    score: Any  # (list of (state, token)) -> list of (next state, score)
    finish: Any  # (list of states) -> list of (last state, score)
    ceiling: float  # the highest score that it gives; inf: unknown


class ExternalScorer(NamedTuple):
    """A language model that a search asks, once for each question, instead of reading its tables."""

    advance: Callable[[int, int], tuple[float, int]]  # a state and a token to its log probability and the next state
    start: int  # state of the empty text; states are numbered as the search meets them
    weight: float  # exponent of the model's probabilities
    bonus: float  # for each token
    tokens: Any  # int32: the model's number of each class if all labels are tokens; else of each word of the tree
    tree: PrefixTree | None  # the words there are; None: all labels are tokens
    space: int  # the class that ends a word


class ScoredTexts(NamedTuple):
    """The texts of a beam with an external scorer, best first; rows are filled up with 0."""

    labels: Any  # int32 (texts, longest)
    timesteps: Any  # int32 (texts, longest)
    lengths: Any  # int32
    scores: Any  # float64: logarithms
    states: Any  # int32: the scorer's, behind the last token that has ended


class TextGraph(NamedTuple):
    """What a recording may say: elements in a row, and the junctions before, between and behind them.

    An element is spoken in one of its forms, or left out at a price. At a junction anything may be heard, at a price a
    frame. Prices are nats, 0 or more; infinite ones allow nothing.
    """

    forms: tuple[tuple[tuple[int, ...], ...], ...]  # of each element, strings of one label or more
    skip_prices: tuple[float, ...]  # of leaving out each element
    star_prices: tuple[float, ...]  # of each junction, of which there is one more than elements
