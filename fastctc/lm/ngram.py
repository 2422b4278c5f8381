"""NGram: a language model over characters or words."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import exp, inf, log
from os import PathLike
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from fastctc import backends, storage
from fastctc.lm.soundness import check_tables, check_vocabulary
from fastctc.lm.tables import MISSING, MOST_NGRAMS, TABLES, Level, check_order, running_sums, tree
from fastctc.lm.vocabulary import Vocabulary
from fastctc.search_inputs import NGramTables, RunningSums
from fastctc.value import Value

BEGIN, END, UNKNOWN = "<s>", "</s>", "<unk>"
UNITS = ("word", "character")


@dataclass(frozen=True, eq=False)
class NGram(Value):
    """An n-gram model with back-off, of any order, as arrays.

    Made by :meth:`train`, :meth:`from_arpa` or :meth:`load`. It needs 20 bytes an n-gram, 12 for those of the highest
    order; it pickles, and is shared by threads, and by processes that load the same file.

    The n-grams form a tree: each stands below the n-gram without its last token, sorted; node 0 is the empty one. See
    :mod:`fastctc.reference.ngram` for what the arrays mean.
    """

    order: int
    unit: str  # "word" or "character"
    vocabulary: Vocabulary
    words: NDArray[np.int32] = field(repr=False)
    log_probs: NDArray[np.float32] = field(repr=False)
    backoffs: NDArray[np.float32] = field(repr=False)
    children: NDArray[np.int32] = field(repr=False)
    suffixes: NDArray[np.int32] = field(repr=False)
    uniform: bool = False  # add-k: what never followed a history is equally probable after it

    @classmethod
    def train(
        cls,
        text: str | Iterable[str],
        order: int,
        *,
        unit: str = "character",
        smoothing: str = "kneser-ney",
        k: float = 1.0,
        sentences: bool | None = None,
        vocabulary: Iterable[str] = (),
    ) -> "NGram":
        """Estimate a model from text.

        Parameters
        ----------
        text : str or iterable of str
            Text, or its lines.
        order : int
            Length of the longest n-grams: 2 for bigrams.
        unit : {"character", "word"}
            What the tokens are. Words are what stands between white space.
        smoothing : {"kneser-ney", "add-k"}
            Interpolated modified Kneser-Ney, or k more occurrences of everything.
        k : float, default 1
            For add-k; 0 makes what was never seen impossible.
        sentences : bool, optional
            Whether each line is a sentence, with a beginning and an end that are tokens too (<s>, </s>). Otherwise the
            text is one long sequence, and the end of a line is a blank space. By default lines of words are
            sentences if there are several, and lines of characters are not.
        vocabulary : iterable of str, optional
            Tokens to know even if the text lacks them, such as the characters of an alphabet.

        Raises
        ------
        ValueError
            For no text, an order below 1 or above 32, a k that is negative or not finite, an unknown unit or smoothing.

        References
        ----------
        S. F. Chen, J. Goodman: An Empirical Study of Smoothing Techniques for Language Modeling, 1998.
        K. Heafield, I. Pouzyrevsky, J. H. Clark, P. Koehn: Scalable Modified Kneser-Ney Language Model
        Estimation, 2013.

        Examples
        --------
        >>> from math import exp
        >>> from fastctc import NGram
        >>> model = NGram.train("abracadabra", 2, smoothing="add-k", k=0)
        >>> round(exp(model.log_probs_of("ab")[1]), 3)  # an a is followed by b, c, d, b
        0.5
        """
        from fastctc.lm import estimation  # not at the top, so that `import fastctc` is quick

        _check_unit(unit)
        check_order(order)
        lines = text.splitlines() if isinstance(text, str) else list(text)
        if sentences is None:
            sentences = unit == "word" and sum(bool(line.strip()) for line in lines) > 1
        if not sentences:
            lines = [" ".join(line.rstrip("\r\n") for line in lines)]
        tokens = [line.split() if unit == "word" else list(line.rstrip("\r\n")) for line in lines]
        tokens = [line for line in tokens if line]
        if not tokens:
            raise ValueError("text must hold at least one token, got none")
        special = {UNKNOWN} if smoothing == "kneser-ney" else set()
        special |= {BEGIN, END} if sentences else set()
        known = Vocabulary.from_tokens({token for line in tokens for token in line} | set(vocabulary) | special)
        table = {token: number for number, token in enumerate(known)}
        begin, end = (table[BEGIN], table[END]) if sentences else (-1, -1)
        numbered = [[table[token] for token in line] for line in tokens]
        if sentences:
            numbered = [[begin, *line, end] for line in numbered]
        if smoothing == "kneser-ney":
            levels = estimation.kneser_ney(numbered, order, len(known), begin)
        elif smoothing == "add-k":
            if not 0 <= k < float("inf"):
                raise ValueError(f"k must be 0 or more, and finite, got {k}")
            levels = estimation.add_k(numbered, order, len(known), begin, k)
        else:
            raise ValueError(f"smoothing must be 'kneser-ney' or 'add-k', got {smoothing!r}")
        root = 0.0
        if smoothing == "add-k":
            total = sum(map(len, numbered)) - (len(numbered) if sentences else 0)
            size = len(known) - sentences
            root = log(k / (total + k * size)) if k else float("-inf")
        return cls.from_levels(levels, known, unit, root, smoothing == "add-k")

    @classmethod
    def from_levels(
        cls, levels: Sequence[Level], vocabulary: Vocabulary, unit: str, root: float, uniform: bool
    ) -> "NGram":
        """Build a model from the n-grams of each length; the first level lists all tokens in their order."""
        return cls(len(levels), unit, vocabulary, *tree(levels, len(vocabulary), root), uniform)

    def levels(self) -> list[Level]:
        """The n-grams of each length."""
        result: list[Level] = []
        above, start, stop = 0, 1, 1 + len(self.vocabulary)
        for order in range(1, self.order + 1):
            counts = np.diff(self.children[above : start + 1])
            parents = np.repeat(np.arange(start - above), counts)
            weights = self.backoffs[start:stop] if order < self.order else np.zeros(stop - start, np.float32)
            values = self.log_probs[start:stop].astype(np.float64), weights.astype(np.float64)
            result.append((parents, self.words[start:stop], *values))
            if order < self.order:
                above, start, stop = start, stop, int(self.children[stop])
        return result

    def prune(self, threshold: float) -> "NGram":
        """The model without the n-grams that change it least (entropy-based pruning).

        An n-gram goes if without it the model would differ so little that the perplexity changes by less than a share
        of ``threshold``; the probabilities of others stay, and the back-off weights are computed again, so that all
        that may follow a history has the sum 1 again.

        Parameters
        ----------
        threshold : float
            0 or more; 1e-8 to 1e-6 is usual.

        Raises
        ------
        ValueError
            For a threshold that is negative or not finite; for an add-k model, which has no back-off weights.

        References
        ----------
        A. Stolcke: Entropy-based Pruning of Backoff Language Models, 1998.

        Examples
        --------
        >>> model = NGram.train("the cat sat on the mat, and the cat ate", 4)
        >>> len(model), len(model.prune(1e-2))
        (91, 39)
        """
        from fastctc.lm import pruning

        if not 0 <= threshold < inf:
            raise ValueError(f"threshold must be 0 or more, and finite, got {threshold}")
        if self.uniform:
            raise ValueError("a model with add-k smoothing has no back-off weights: train with kneser-ney to prune it")
        begin, end = (self.vocabulary.number(token) for token in (BEGIN, END))
        levels = pruning.prune(self.levels(), len(self.vocabulary), threshold, begin, end)
        return self.from_levels(levels, self.vocabulary, self.unit, 0.0, False)

    @classmethod
    def mix(cls, models: Sequence["NGram"], shares: Sequence[float]) -> "NGram":
        """One model that is the linear interpolation of several: of texts of different kinds, each with its share.

        It has the n-grams of all of them, and their weighted mean probabilities; its back-off weights are made so that
        all that may follow a history has the sum 1. A text that counts more than others is better mixed in so than
        repeated, since smoothing goes by how often things were seen.

        Parameters
        ----------
        models : sequence of NGram
            Of any orders, over the same vocabulary: train them with ``vocabulary``.
        shares : sequence of float
            Above 0, with the sum 1.

        Raises
        ------
        ValueError
            For models of different units or vocabularies, add-k models, and shares that are none.

        References
        ----------
        A. Stolcke: SRILM, An Extensible Language Modeling Toolkit, 2002.

        Examples
        --------
        >>> models = [NGram.train(text, 3, vocabulary="abcdr ") for text in ("abracadabra", "bad cab")]
        >>> mixed = NGram.mix(models, [0.75, 0.25])
        >>> [round(exp(model.log_probs_of("ab")[1]), 2) for model in (*models, mixed)]
        [0.31, 0.36, 0.32]
        """
        from fastctc.lm import mixing

        if not models or len(models) != len(shares):
            raise ValueError(f"there must be a share for each model, got {len(models)} and {len(shares)}")
        if not all(share > 0 for share in shares) or abs(sum(shares) - 1) > 1e-9:
            raise ValueError(f"shares must be above 0, with the sum 1, got {', '.join(map(str, shares))}")
        unit, vocabulary = models[0].unit, models[0].vocabulary
        if any(one.unit != unit or list(one.vocabulary) != list(vocabulary) for one in models):
            raise ValueError("the models must have the same unit and the same vocabulary")
        if any(one.uniform for one in models):
            raise ValueError("a model with add-k smoothing has no back-off weights: train with kneser-ney to mix it")
        levels = mixing.mix([one.levels() for one in models], len(vocabulary), shares)
        return cls.from_levels(levels, vocabulary, unit, 0.0, False)

    @classmethod
    def from_arpa(
        cls,
        path: str | PathLike[str] | BinaryIO,
        *,
        unit: str = "word",
        max_ngrams: int = MOST_NGRAMS,
        progress: Callable[[int, int], None] | None = None,
    ) -> "NGram":
        """Read an ARPA file, plain or compressed (.gz).

        The file is read as a stream.

        Parameters
        ----------
        path : str, path-like or binary file
            A file's name, or one that is open and need not be seekable, such as ``sys.stdin.buffer``.
        unit : {"word", "character"}
            What its tokens are. In a model of characters the blank space is written ``<space>``.
        max_ngrams : int, default 2**28
            How many n-grams it may have at most; each takes about 100 bytes while the file is read.
        progress : callable, optional
            Called now and then with how many n-grams have been read, and how many there are.

        Raises
        ------
        OSError
            If the file cannot be read.
        ValueError
            For a file that is truncated or contradicts itself, with the number of the line and the reason.
        """
        _check_unit(unit)
        from fastctc.lm import arpa

        levels, vocabulary = arpa.read(path, unit, max_ngrams, progress)
        return cls.from_levels(levels, vocabulary, unit, 0.0, False)

    def to_arpa(self, path: str | PathLike[str]) -> None:
        """Write an ARPA file, compressed if its name ends in .gz.

        Raises
        ------
        ValueError
            For an add-k model, which has no back-off weights.
        """
        from fastctc.lm import arpa

        arpa.write(self, path)

    def save(self, path: str | PathLike[str], *, bits: int | None = None) -> None:
        """Write a file for :meth:`load`, which maps its arrays into memory.

        Parameters
        ----------
        path : str or path-like
        bits : {None, 8, 16}
            For a small file: the values of the n-grams of each length are rounded to 256 or 65 536 different ones, and
            an n-gram takes one to six bytes instead of 12 to 20. Such a file is unpacked into memory by :meth:`load`,
            where it takes what any model takes.

        Raises
        ------
        OSError
            If the file cannot be written.
        ValueError
            For other bits, or bits for an add-k model, which has no back-off weights.
        """
        about = {"order": self.order, "unit": self.unit, "uniform": self.uniform}
        arrays: dict[str, NDArray[Any]] = {name: getattr(self, name) for name in TABLES}
        if bits is not None:
            from fastctc.lm import quantization

            if self.uniform:
                raise ValueError("a model with add-k smoothing has no back-off weights to round: save it without bits")
            arrays = quantization.pack(self.levels(), len(self.vocabulary), bits)
            about["bits"] = bits
        arrays |= {"text": self.vocabulary.text, "offsets": self.vocabulary.offsets}
        storage.save(path, "n-gram model", about, arrays)

    @classmethod
    def load(cls, path: str | PathLike[str]) -> "NGram":
        """Map a file that :meth:`save` wrote. Processes that load the same file share its memory.

        Every byte is checked against the file's checksums, and the arrays for being a model, which takes about a second
        for ten million n-grams.

        Raises
        ------
        OSError
            If the file cannot be read.
        ValueError
            If the file is of another kind, or damaged.
        """
        about, arrays = storage.load(path, "n-gram model")
        rounded = "bits" in about
        spelled = {"text": "uint8", "offsets": "int64"}
        expected = spelled if rounded else {**TABLES, **spelled}
        storage.check(
            path,
            {name: array for name, array in arrays.items() if name in expected or not rounded},
            {name: (dtype, None) for name, dtype in expected.items()},
        )
        text, offsets = arrays.pop("text"), arrays.pop("offsets")
        order, unit, uniform = about.get("order"), about.get("unit"), about.get("uniform")
        try:
            if type(order) is not int or unit not in UNITS or type(uniform) is not bool or (rounded and uniform):
                raise ValueError(f"order, unit and uniform cannot be {order!r}, {unit!r} and {uniform!r}")
            check_order(order)
            check_vocabulary(text, offsets)
            if rounded:
                from fastctc.lm import quantization

                levels = quantization.unpack(arrays, order, len(offsets) - 1)
                arrays = dict(zip(TABLES, tree(levels, len(offsets) - 1, 0.0), strict=True))
            check_tables(order, len(offsets) - 1, **arrays)
        except (TypeError, ValueError) as error:
            raise storage.StorageError(f"{path}: its parts do not fit together: {error}") from None
        return cls(order, unit, Vocabulary(text, offsets), **arrays, uniform=uniform)

    def __len__(self) -> int:
        """Number of n-grams of all lengths."""
        return len(self.words) - 1

    @cached_property
    def unknown(self) -> float:
        """Log probability of a token that is not in the vocabulary, before back-off weights."""
        number = self.vocabulary.number(UNKNOWN)
        return float(self.log_probs[1 + number]) if number >= 0 else MISSING

    @cached_property
    def tables(self) -> NGramTables:
        """What the searches ask for: arrays and numbers."""
        arrays = self.words, self.log_probs, self.backoffs, self.children, self.suffixes
        return NGramTables(*arrays, self.uniform, self.unknown)

    @cached_property
    def ceilings(self) -> NDArray[np.float64]:
        """An upper bound of the log probability of each token after any history; the last is for unknown tokens."""
        highest: NDArray[np.float64] = np.full(len(self.vocabulary) + 1, -np.inf)
        highest[-1] = self.unknown
        np.maximum.at(highest, self.words[1:], self.log_probs[1:].astype(np.float64))
        most = float(self.backoffs.max())
        if self.uniform:
            np.maximum(highest, most, out=highest)
        else:
            highest += (self.order - 1) * max(0.0, most)  # weights above 1 are rare, but possible
        return highest

    @cached_property
    def sums(self) -> RunningSums:
        """Running sums over the children of each node, see :func:`fastctc.reference.ngram.forecast`."""
        return running_sums(self.log_probs, self.backoffs, self.children, self.suffixes, self.uniform)

    def forecast(self, history: Sequence[str], first: int, last: int, backend: str = "compiled") -> float:
        """Probability that the next token is one of those with the numbers ``first`` to ``last - 1``.

        Takes O(order log(successors)), whatever the range. The sum is a difference of running sums, exact to about
        1e-15 in itself and not of itself: tokens that have less than that together may get 0.

        Parameters
        ----------
        history : sequence of str
            The tokens before; not the beginning of a sentence, unless it says so with <s>.
        first, last : int
            0 to the size of the vocabulary; nothing where ``last`` is not above ``first``.

        Raises
        ------
        ValueError
            For numbers that no token has.

        Examples
        --------
        >>> model = NGram.train("abracadabra", 3)
        >>> round(model.forecast("ab", 0, len(model.vocabulary)), 6)
        1.0
        """
        if not (0 <= first <= len(self.vocabulary) and 0 <= last <= len(self.vocabulary)):
            raise ValueError(f"first and last must be 0 to {len(self.vocabulary)}, got {first} and {last}")
        ngram = backends.load(backend, "ngram")
        state = ngram.score(self.tables, 0, self.numbers(history))[1]
        result: float = ngram.forecast(self.tables, self.sums, state, first, last)
        return result

    @cached_property
    def start(self) -> int:
        """State at the beginning of a text: after <s> where the model knows it, otherwise after nothing."""
        number = self.vocabulary.number(BEGIN)
        return 1 + number if number >= 0 and self.order > 1 else 0

    def numbers(self, tokens: Iterable[str]) -> list[int]:
        """Numbers of tokens; unknown ones get that of <unk>, or -1 where the model has none."""
        unknown = self.vocabulary.number(UNKNOWN)
        found = [self.vocabulary.number(token) for token in tokens]
        return [unknown if number < 0 else number for number in found]

    def log_probs_of(
        self, text: str | Sequence[str], *, begin: bool = True, end: bool = False, backend: str = "compiled"
    ) -> list[float]:
        """Natural log probability of each token of a text, given those before it.

        Parameters
        ----------
        text : str or sequence of str
            A text, or its tokens.
        begin : bool, default True
            Whether the text is the beginning of a sentence, for models that know <s>.
        end : bool, default False
            Whether to go on with the end of the sentence, </s>.
        """
        values: list[float] = self._scorer(backend).log_probs(text, begin, end)
        return values

    def score(self, text: str | Sequence[str], *, begin: bool = True, end: bool = True) -> float:
        """Natural log probability of a sentence; ``begin`` and ``end`` as in :meth:`log_probs_of`, where known.

        >>> NGram.train("ab" * 50, 2).score("abab", end=False) > NGram.train("ab" * 50, 2).score("abba", end=False)
        True
        """
        result: float = self._compiled.score(text, begin, end and self._knows_ends)
        return result

    def state(self, begin: bool = True) -> int:
        """State at the beginning of a sentence, for models that know <s>, or of nothing before."""
        return self.start if begin else 0

    def advance(self, state: int, token: str) -> tuple[float, int]:
        """Natural log probability of a token after a state, and the next state.

        >>> model = NGram.train("abracadabra", 2)
        >>> log_prob, state = model.advance(model.state(), "a")
        >>> model.advance(state, "b")[0] == model.log_probs_of("ab")[1]
        True
        """
        result: tuple[float, int] = self._compiled.advance(state, token)
        return result

    def __contains__(self, token: object) -> bool:
        return token in self.vocabulary

    def _scorer(self, backend: str) -> Any:
        return self._compiled if backend == "compiled" else self._new_scorer(backend)

    def _new_scorer(self, backend: str) -> Any:
        scorer, words = backends.load(backend, "ngram").Scorer, self.vocabulary
        return scorer(self.tables, words.text, words.offsets, self.start, self.unit == "word")

    @cached_property
    def _compiled(self) -> Any:
        return self._new_scorer("compiled")

    @cached_property
    def _knows_ends(self) -> bool:
        return END in self.vocabulary

    def perplexity(self, text: str | Iterable[str]) -> float:
        """Perplexity of a text, or of its lines, per token; each line is a sentence if the model knows sentences.

        Raises
        ------
        ValueError
            For a text without tokens.
        """
        ends = END in self.vocabulary
        lines = text.splitlines() if isinstance(text, str) else list(text)
        if not ends:
            lines = [" ".join(lines)]
        values = [value for line in lines if self._tokens(line) for value in self.log_probs_of(line, end=ends)]
        if not values:
            raise ValueError("text must hold at least one token, got none")
        return exp(-sum(values) / len(values))

    def _tokens(self, text: str | Sequence[str]) -> list[str]:
        if not isinstance(text, str):
            return list(text)
        return text.split() if self.unit == "word" else list(text)


def _check_unit(unit: str) -> None:
    if unit not in UNITS:
        raise ValueError(f"unit must be 'word' or 'character', got {unit!r}")
