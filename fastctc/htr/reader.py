"""Reader: images of words, lines and pages to text, with places and with how sure it is. Needs no TensorFlow."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.resources import files
from itertools import pairwise
from math import exp, inf
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fastctc.alphabet import Alphabet
from fastctc.decoders import BeamSearch, WordBeamSearch
from fastctc.htr import confidence
from fastctc.htr.checkpoint import load_network
from fastctc.htr.config import Config
from fastctc.htr.languages import language_model, languages_of
from fastctc.htr.onnx_network import OnnxNetwork
from fastctc.htr.preparation import INK, Prepared, as_input, grey, prepared
from fastctc.htr.views import combine_segments, combine_views
from fastctc.hypothesis import Hypothesis, Segment
from fastctc.imaging.layout import Box, PageLayout
from fastctc.imaging.line_images import LineImage, line_image
from fastctc.imaging.segmentation import segment_page
from fastctc.lexicon import Lexicon
from fastctc.lm.ngram import NGram

COLUMNS = 24_000  # of images that are read at a stretch
WIDTHS = 32  # images are continued with paper to a multiple of that many columns
CHARACTER_LM = 0.7  # the default weight of a character model, in the middle of what is good on six validation sets,
CHARACTER_BONUS = 2.0  # times the weight: what makes up for its preference for short texts
SAMPLE = 6  # lines that say which way up a page is
SHORTEST = 3  # characters of words that say something
UPRIGHT = 0.25  # certainty of those lines, below which the page may lie another way
BETTER = 2.0  # times as certain is a page that has been turned the right way,
READABLE = 0.1  # ... and at least so certain
SLANTS = (0.0, 0.3, -0.2, 0.15, -0.35)  # of the views


@dataclass(frozen=True)
class Character:
    """A character that was read."""

    text: str
    box: Box
    confidence: float  # probability of this character in its place, the rest of the text being what it is


class Alternative(NamedTuple):
    """What a word may be instead."""

    text: str
    probability: float


@dataclass(frozen=True)
class Word:
    """A word that was read."""

    text: str
    box: Box
    confidence: float  # the probability that this word is right
    characters: tuple[Character, ...]
    # What reads so that confidence was fitted for it, on lines of known text: "image", "characters" (a language model
    # of them) or "words" (a lexicon), in "one view" or "several views". Empty: it is the word's probability in its
    # place given the image alone, and with a language model too low.
    fitted_for: str = ""
    # Other texts for its place, most probable first, if the reader was asked for them. What confidence leaves is theirs
    # in the proportions that the decoder gives them.
    alternatives: tuple[Alternative, ...] = ()


@dataclass(frozen=True)
class Line:
    """A line or a word image that was read.

    Attributes
    ----------
    text : str
    box : Box
        Where the writing is, in pixels of the image (of the straightened page for pages).
    words : tuple of Word
    log_prob : float
        Natural logarithm of the probability of this text given the image, among all texts.
    confidence : float
        The same as a probability, by the image alone: with a lexicon or a language model it is lower than the share of
        lines that are right. What words have is fitted.
    hypotheses : tuple of Hypothesis
        What the decoder returned, best first.
    language : str
        The language whose model read it, as the reader was told or as it chose; empty without one.
    """

    text: str
    box: Box
    words: tuple[Word, ...]
    log_prob: float
    confidence: float
    hypotheses: tuple[Hypothesis, ...]
    language: str = ""


@dataclass(frozen=True)
class Page:
    """A page that was read: its lines in reading order, and what segmentation found."""

    lines: tuple[Line, ...]
    layout: PageLayout

    @property
    def text(self) -> str:
        """Line after line."""
        return "\n".join(line.text for line in self.lines)


@dataclass(frozen=True)
class Reader:
    """Reads handwriting.

    Parameters
    ----------
    weights : path, optional
        A network that ``fastctc train`` made; by default the one that comes with the package.
    backend : {"numpy", "keras"}
        Who computes the network: NumPy alone, or Keras (TensorFlow, JAX or torch), which is faster for many images.
    decoder : object, optional
        Any decoder of fastctc for the network's alphabet. By default a beam search of width 10, with what follows.
    lexicon : Lexicon, optional
        Only its words are read (word beam search), and anything between them that is no letter.
    ngram : NGram, optional
        A language model over characters, or, with a lexicon, over words.
    language : str, optional
        In place of ``ngram``, the model of characters that comes with the package for a language: "en", "fr" or a tag
        such as "fr-CA". Of several, "en+fr", or of all, "auto", that one is taken which makes most probable what is
        read at a stretch (a page, or the images of one call); ``Line.language`` says which.
    lm_weight : float, optional
        Of a model of characters, by default 0.7. One trained on lines (or, for words, on words) as sentences,
        ``NGram.train(lines, 6, sentences=True)``, also knows how they begin and end.
    temperature : float, optional
        By which the network's log probabilities are divided before anything is read; by default what the weights' card
        says.
    network : path, optional
        In place of ``weights``, any CTC recogniser of lines as an .onnx file, or "rapidocr", the one of that package if
        it is installed; see :mod:`fastctc.htr.onnx_network`. With a model of characters only what that knows is read.
    n_views : int, default 1
        1 to 5 views of every image, slanted this way and that: what they agree on is read, with fewer errors. Five
        take five times the time of one. ``log_prob`` is the mean of theirs. Candidates are what a decoder returns for
        each view, so that one of your own should have a larger ``n_best``.
    n_alternatives : int, default 0
        So many :attr:`Word.alternatives` at most: what the decoder finds in the frames of that word alone.

    Raises
    ------
    OSError, StorageError
        If there are no such weights, or damaged ones.
    ValueError
        If the decoder, the lexicon or the language model is made for another alphabet; if a decoder is given together
        with what the default decoder is made of, or a weight without the model that it is of.

    Examples
    --------
    >>> import numpy as np
    >>> Reader().read_lines([np.full((40, 200), 255, np.uint8)])[0].text  # an empty line
    ''
    """

    weights: str | PathLike[str] | None = None
    backend: str = "numpy"
    decoder: Any = None
    lexicon: Lexicon | None = None
    ngram: NGram | None = None
    lm_weight: float | None = None
    temperature: float | None = None
    n_views: int = 1
    network: str | PathLike[str] | None = None
    n_alternatives: int = 0
    language: str = ""

    def __post_init__(self) -> None:
        if self.backend not in ("numpy", "keras"):
            raise ValueError(f"backend must be 'numpy' or 'keras', got {self.backend!r}")
        if not 1 <= self.n_views <= len(SLANTS):
            raise ValueError(f"n_views must be 1 to {len(SLANTS)}, got {self.n_views}")
        if self.n_alternatives < 0:
            raise ValueError(f"n_alternatives must be 0 or more, got {self.n_alternatives}")
        if self.decoder is not None and (self.lexicon, self.ngram, self.lm_weight) != (None, None, None):
            raise ValueError("a decoder has its own lexicon and model: lexicon, ngram and lm_weight go without decoder")
        if self.language and (self.decoder, self.lexicon, self.ngram) != (None, None, None):
            raise ValueError("a language brings a model of its own: it goes without decoder, lexicon and ngram")
        if self.lm_weight is not None and (self._model is None or self.lexicon is not None):
            raise ValueError("lm_weight is that of a character model: it goes with ngram or language, without lexicon")
        if self.temperature is not None and not self.temperature > 0:
            raise ValueError(f"temperature must be above 0, got {self.temperature}")
        if self.network is not None and (self.weights is not None or self.backend != "numpy"):
            raise ValueError("network is an ONNX file of its own: weights and backend go without it")
        self._shape, self._decoder  # noqa: B018 - what is wrong is wrong now, not at the first image

    @cached_property
    def _network(self) -> tuple[Config, dict[str, npt.NDArray[Any]], dict[str, Any]]:
        return load_network(self.weights if self.weights is not None else shipped_weights())

    @property
    def config(self) -> Config:
        """The shape of the network that ``weights`` belong to."""
        return self._network[0]

    @cached_property
    def _onnx(self) -> OnnxNetwork | None:
        return OnnxNetwork(self.network) if self.network is not None else None

    @property
    def _shape(self) -> Config | OnnxNetwork:
        """Height of the images, columns of a frame, and alphabet of the network that reads."""
        return self._onnx or self.config

    @cached_property
    def _classes(self) -> list[int] | None:
        """Which of a foreign network's classes are read: those that the model of characters knows; None: all."""
        if self._onnx is None or self._model is None or self._model.unit != "character":
            return None
        whole = self._onnx.alphabet
        known = set(self._model.vocabulary)
        return [k for k in range(whole.n_classes) if k == whole.blank or whole.symbols[k] in known]

    @property
    def card(self) -> dict[str, Any]:
        """Where the weights come from and how well they read."""
        return self._network[2] if self.network is None else {}

    @cached_property
    def alphabet(self) -> Alphabet:
        """What can be read."""
        whole = self._shape.alphabet
        if self._classes is None:
            return whole
        symbols = [whole.symbols[k] for k in self._classes if k != whole.blank]
        return Alphabet(symbols, self._classes.index(whole.blank))

    @property
    def word_alphabet(self) -> Alphabet:
        """The same classes, words being of letters and apostrophes only: for lexicons, whose words have no commas."""
        whole = self._shape.alphabet
        letters = [c for c in whole.characters if c.isalpha() or c == "'"]
        return Alphabet(whole.characters, whole.blank, word_characters=letters)

    @cached_property
    def _keras_model(self) -> Any:
        from fastctc.htr import model as network

        model = network.build_model(self.config)
        network.set_weights(model, self._network[1])
        return model

    @cached_property
    def _model(self) -> NGram | None:
        """The language model; of several languages the first one's, all of which know the same characters."""
        return language_model(next(iter(languages_of(self.language).values()))) if self.language else self.ngram

    @cached_property
    def _readers(self) -> tuple["Reader", ...]:
        """One for each language."""
        tags = languages_of(self.language) if self.language else {}
        return (self,) if len(tags) < 2 else tuple(replace(self, language=tag) for tag in tags)

    @cached_property
    def _decoder(self) -> Any:
        alphabet, n_best = self.alphabet, 10
        exact = self.n_views == 1  # of several views all candidates are judged anew
        if self.decoder is not None:
            self._check(getattr(self.decoder, "alphabet", None) or self.decoder.lexicon.alphabet, "decoder")
            return self.decoder
        if self.lexicon is not None:
            self._check(self.lexicon.alphabet, "lexicon")
            return WordBeamSearch(self.lexicon, 25, lm=self.ngram, n_best=n_best, exact=exact)
        if self._model is not None:
            weight = CHARACTER_LM if self.lm_weight is None else self.lm_weight
            bonus = CHARACTER_BONUS * weight
            return BeamSearch(
                alphabet, 50, lm=self._model, lm_weight=weight, character_bonus=bonus, n_best=n_best, exact=exact
            )
        return BeamSearch(alphabet, 10, n_best=n_best, exact=exact)

    @property
    def _fitted_for(self) -> str:
        """Which of the weights' calibrations belongs to what reads here; none to other decoders."""
        if self.decoder is not None:
            return ""
        what = "words" if self.lexicon is not None else "characters" if self._model is not None else "image"
        name = f"{what}, {'one view' if self.n_views == 1 else 'several views'}"
        return name if name in self._calibrations else ""

    @cached_property
    def _calibrations(self) -> dict[str, tuple[float, ...]]:
        """What the card says of confidence, which may be anybody's."""
        return confidence.checked(self.card.get("confidence", {}))

    def _confidences(self, words: Sequence[Segment], hypotheses: list[Hypothesis]) -> list[float]:
        """The probability that each word of the best hypothesis is right."""
        if not self._fitted_for:
            return [word.probability for word in words]
        weights = self._calibrations[self._fitted_for]
        return [
            confidence.probability(weights, word.probability, share, len(word.text))
            for word, share in zip(words, confidence.word_shares(self.alphabet, hypotheses), strict=True)
        ]

    def _check(self, theirs: Alphabet, what: str) -> None:
        """Other classes are no use; what counts as part of a word is everybody's own choice."""
        mine = self.alphabet
        if tuple(theirs.characters) != tuple(mine.characters) or theirs.blank != mine.blank:
            raise ValueError(f"the {what} is made for another alphabet than the network's: use Reader().alphabet")

    def log_probs(self, images: Sequence[Any]) -> list[npt.NDArray[np.float32]]:
        """What the network says: for each image log probabilities (frames, classes), the blank last."""
        return self._computed([prepared(image, self._shape.height) for image in images])

    def read_lines(self, images: Sequence[Any]) -> list[Line]:
        """Read images of lines: arrays of grey or colour, of any size, dark on light or light on dark, or paths.

        Raises
        ------
        ValueError
            For what is no image; the message says which one.
        """
        shades = [_opened(image, number) for number, image in enumerate(images)]
        return self._read(shades, [_whole(image) for image in shades])

    def read_words(self, images: Sequence[Any]) -> list[Line]:
        """Read images of single words; blanks between characters are not believed."""
        return [_as_word(line) for line in self.read_lines(images)]

    def read_page(self, image: Any) -> Page:
        """Find the lines of a page, and read them.

        A page that reads badly may lie on its side or upside down: some of its lines are read in the three other
        ways, and if one reads much better, the page is turned; ``layout.angle`` has the quarter turns too.
        """
        shades = _opened(image, 0)
        layout = segment_page(shades)
        lines = self._lines_of(layout, range(len(layout.lines)))
        sure = certainty([lines[number] for number in _widest(layout)])
        if sure < UPRIGHT:
            ways = []
            for quarters in (2, 1, 3):
                other = segment_page(np.ascontiguousarray(np.rot90(shades, quarters)))
                ways.append((certainty(self._lines_of(other, _widest(other))), quarters, other))
            best, quarters, other = max(ways, key=lambda way: way[0])
            if best > max(BETTER * sure, READABLE):
                turned = (other.angle - 90 * quarters + 180) % 360 - 180
                layout = replace(other, angle=turned)
                lines = self._lines_of(layout, range(len(layout.lines)))
        return Page(tuple(line for line in lines if line.text.strip()), layout)

    def _lines_of(self, layout: PageLayout, numbers: Sequence[int]) -> list[Line]:
        """Read some lines of a page, with their places on it."""
        cuts = [line_image(layout, number) for number in numbers]
        lines = self._read([cut.image for cut in cuts], [_whole(cut.image) for cut in cuts])
        return [_on_page(line, cut) for line, cut in zip(lines, cuts, strict=True)]

    def probability(self, image: Any, text: str) -> float:
        """The probability of a text given an image of a line."""
        from fastctc.loss import log_probability

        return exp(log_probability(self.log_probs([image])[0], text=text, alphabet=self.alphabet))

    def _read(self, shades: list[npt.NDArray[np.uint8]], boxes: list[Box]) -> list[Line]:
        if not shades:
            return []
        upright, views = self._views(shades)
        by_image = list(zip(*views, strict=True))
        readings = [(reader, reader._decoded(by_image)) for reader in self._readers]
        reader, found = max(readings, key=lambda one: sum(hypotheses[0].score for hypotheses in one[1]))
        return [
            reader._line(one, rows, hypotheses, box)
            for one, rows, hypotheses, box in zip(upright, by_image, found, boxes, strict=True)
        ]

    def _decoded(self, by_image: Sequence[Sequence[npt.NDArray[np.float32]]]) -> list[list[Hypothesis]]:
        """What is found for each image in all its views together."""
        beams = [self._decoder.decode_batch(rows) for rows in zip(*by_image, strict=True)]
        return [
            combine_views(self.alphabet, rows, found)
            for rows, found in zip(by_image, zip(*beams, strict=True), strict=True)
        ]

    def _views(self, shades: list[npt.NDArray[np.uint8]]) -> tuple[list[Prepared], list[list[npt.NDArray[np.float32]]]]:
        """The images as they are, and what the network says of each, view by view."""
        views = [
            [prepared(_sheared(image, slant), self._shape.height) for image in shades]
            for slant in SLANTS[: self.n_views]
        ]
        rows = self._calibrated(self._computed([one for view in views for one in view]))
        return views[0], [rows[start : start + len(shades)] for start in range(0, len(rows), len(shades))]

    def _read_classes(self, rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """The rows of the classes that are read, made distributions again."""
        if self._classes is None:
            return rows
        rows = np.ascontiguousarray(rows[:, self._classes])
        with np.errstate(divide="ignore"):
            rows -= np.log(np.exp(rows).sum(axis=1, keepdims=True))
        return rows

    def _calibrated(self, rows: list[npt.NDArray[np.float32]]) -> list[npt.NDArray[np.float32]]:
        """Log probabilities at the temperature at which confidence is what it says."""
        temperature = self.temperature or float(self.card.get("temperature", 1.0))
        if temperature == 1.0:
            return rows
        cooled = [row / np.float32(temperature) for row in rows]
        return [row - np.log(np.exp(row).sum(1, keepdims=True)) for row in cooled]

    def _line(
        self, one: Prepared, views: Sequence[npt.NDArray[np.float32]], hypotheses: list[Hypothesis], box: Box
    ) -> Line:
        """What was read, with its places on the upright image, which is the first of the views."""
        from fastctc.align import forced_align

        best = hypotheses[0]
        if not best.text.strip() or best.log_prob == -inf:  # impossible texts, of completed words, stand nowhere
            text, log_prob = best.text.strip(), best.log_prob
            return Line(text, box, (), log_prob, _probability(log_prob), tuple(hypotheses), self.language)
        stride = self._shape.stride
        alignments = [forced_align(rows, text=best.text, alphabet=self.alphabet) for rows in views]
        by_view = [[Segment(*word[:4]) for word in alignment.words] for alignment in alignments]
        aligned = combine_segments(by_view)
        found = [(segment.first * stride, (segment.last + 1) * stride) for segment in aligned]
        extents = _extents(one.ink, found, 2 * stride)

        def placed(left: float, right: float, rows: tuple[int, int] = (0, one.ink.shape[0])) -> Box:
            first, last = (box.left + round(one.column(x)) for x in (left, right))
            top, bottom = (box.top + one.row(y) for y in rows)
            return Box(
                int(np.clip(first, box.left, box.right - 1)),
                int(np.clip(top, box.top, box.bottom - 1)),
                int(np.clip(last, box.left + 1, box.right)),
                int(np.clip(bottom, box.top + 1, box.bottom)),
            )

        words, rest = [], combine_segments([alignment.characters for alignment in alignments])
        sure = self._confidences(aligned, hypotheses)
        others = self._alternatives(views, by_view, sure)
        for segment, certainty, instead, (left, right, *rows) in zip(aligned, sure, others, extents, strict=True):
            own: list[Character] = []
            while rest and len(own) < len(segment.text):
                head = rest.pop(0)
                if head.text.strip() or own:
                    # The frames say in which order and about where; the word's own ink says from where to where.
                    start, stop = np.interp(
                        [head.first, head.last + 1], [segment.first, segment.last + 1], [left, right]
                    )
                    own.append(Character(head.text, placed(start, stop), head.probability))
            place = placed(left, right, (rows[0], rows[1]))
            words.append(Word(segment.text, place, certainty, tuple(own), self._fitted_for, instead))
        whole = words[0].box
        for word in words[1:]:
            whole = whole | word.box
        text, log_prob = best.text, best.log_prob
        return Line(text, whole, tuple(words), log_prob, _probability(log_prob), tuple(hypotheses), self.language)

    def _alternatives(
        self, views: Sequence[npt.NDArray[np.float32]], words: Sequence[Sequence[Segment]], sure: Sequence[float]
    ) -> list[tuple[Alternative, ...]]:
        """What the decoder finds in each word's frames, from half-way after the word before to half-way to the next."""
        if not self.n_alternatives:
            return [()] * len(sure)
        cut = []
        for rows, own in zip(views, words, strict=True):
            bounds = [0, *((a.last + b.first) // 2 + 1 for a, b in pairwise(own)), len(rows)]
            cut.append([np.ascontiguousarray(rows[start:stop]) for start, stop in pairwise(bounds)])
        found = [self._decoder.decode_batch(parts) for parts in cut]
        result = []
        for k, certainty in enumerate(sure):
            parts, beams = [part[k] for part in cut], [beam[k] for beam in found]
            candidates = combine_views(self.alphabet, parts, beams)
            result.append(_others(candidates, words[0][k].text, certainty)[: self.n_alternatives])
        return result

    def _computed(self, images: list[Prepared]) -> list[npt.NDArray[np.float32]]:
        """The network's output for each image; Keras computes images of one width together, NumPy all.

        What comes out for an image does not depend on what it is read with, rounding aside: it is continued with paper
        to a width of its own.
        """
        if self._onnx is not None:
            return [self._read_classes(rows) for rows in self._onnx.log_probs([image.ink for image in images])]
        config, weights, _ = self._network
        result: list[Any] = [None] * len(images)
        widths = [_padded_width(image.ink.shape[1], config) for image in images]
        for numbers in _batches(widths, of_one_width=self.backend == "keras"):
            inputs = [as_input([_fitting(images[i].ink, widths[i])], widths[i]) for i in numbers]
            if self.backend == "keras":
                outputs = list(self._keras_model.predict_on_batch(np.concatenate(inputs)))
            else:
                from fastctc.htr.network import networks

                outputs = networks(config, weights, [one[0] for one in inputs])
            for i, output in zip(numbers, outputs, strict=True):
                result[i] = np.ascontiguousarray(output, np.float32)
        return result


def _others(candidates: list[Hypothesis], text: str, certainty: float) -> tuple[Alternative, ...]:
    """All texts but the one that was read, and their parts of what its probability leaves."""
    weights: dict[str, float] = {}
    for one in candidates:
        other = one.text.strip()
        if other and one.score > -inf:
            weights[other] = weights.get(other, 0.0) + exp(one.score - candidates[0].score)
    seen = min(1.0, sum(exp(one.log_prob) for one in candidates))  # of all texts that there are
    weights.pop(text.strip(), None)
    left = (1.0 - certainty) * seen / (sum(weights.values()) or 1.0)
    return tuple(Alternative(other, left * weight) for other, weight in sorted(weights.items(), key=lambda x: -x[1]))


def _extents(ink: npt.NDArray[np.uint8], words: list[tuple[int, int]], reach: int) -> list[tuple[int, int, int, int]]:
    """Columns and rows of each word's ink: left, right, top, bottom.

    A network says what it has read somewhat before or after the place, so words are parted where between the frames of
    one and those of the next the widest gap without ink is.
    """
    dark: npt.NDArray[np.bool_] = np.asarray(ink >= INK)
    used: npt.NDArray[np.bool_] = np.asarray(dark.any(axis=0))
    columns = len(used)
    cuts = [0]
    for (_, end), (begin, _) in pairwise(words):
        low, high = max(cuts[-1], min(end, begin) - reach), min(columns, max(end, begin) + reach)
        white = np.flatnonzero(~used[low:high])
        if not len(white):
            cuts.append(int(np.clip((end + begin) // 2, cuts[-1] + 1, columns)))
            continue
        runs = np.split(white, np.flatnonzero(np.diff(white) > 1) + 1)
        widest = max(runs, key=len)
        cuts.append(low + int(widest[len(widest) // 2]))
    cuts.append(columns)
    result = []
    for (begin, end), left, right in zip(words, cuts, cuts[1:], strict=False):
        inside = np.flatnonzero(used[left:right])
        rows = np.flatnonzero(dark[:, left:right].any(1))
        if len(inside):
            result.append((left + int(inside[0]), left + int(inside[-1]) + 1, int(rows[0]), int(rows[-1]) + 1))
        else:
            result.append((begin, max(end, begin + 1), 0, ink.shape[0]))
    return result


def shipped_weights() -> Path:
    """The network that comes with the package."""
    return Path(str(files("fastctc.htr").joinpath("weights", "latin.fastctc")))


def _batches(widths: Sequence[int], of_one_width: bool) -> Iterable[list[int]]:
    """Numbers of images to compute together, the narrowest first."""
    batch: list[int] = []
    for i in sorted(range(len(widths)), key=lambda i: widths[i]):
        full = (len(batch) + 1) * widths[i] > COLUMNS
        if batch and (full or (of_one_width and widths[i] != widths[batch[0]])):
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch


def _padded_width(columns: int, config: Config) -> int:
    if config.width is not None:
        return config.width
    unit = max(WIDTHS, config.stride)
    return -(-columns // unit) * unit


def _fitting(ink: npt.NDArray[np.uint8], width: int) -> npt.NDArray[np.uint8]:
    """Shrunk, if a network of one width needs that."""
    from fastctc.htr.preparation import resized

    return ink if ink.shape[1] <= width else resized(ink, ink.shape[0], width)


def _opened(image: Any, number: int) -> npt.NDArray[np.uint8]:
    from fastctc.imaging import images

    try:
        return grey(images.read(image) if isinstance(image, str | Path) else image)
    except ValueError as error:
        raise ValueError(f"image {image if isinstance(image, str | Path) else number}: {error}") from None


def _sheared(image: npt.NDArray[np.uint8], slant: float) -> npt.NDArray[np.uint8]:
    """The rows of an image moved sideways, the upper ones to the right for a positive slant."""
    if not slant:
        return image
    from PIL import Image

    height, width = image.shape
    grown = int(np.ceil(abs(slant) * height))
    matrix = (1, slant, -slant * height if slant > 0 else 0, 0, 1, 0)
    paper = int(np.median(image))
    sheared = Image.fromarray(image).transform(
        (width + grown, height), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR, fillcolor=paper
    )
    return np.asarray(sheared)


def _widest(layout: PageLayout) -> list[int]:
    """The lines that say most about a page."""
    return sorted(range(len(layout.lines)), key=lambda number: -layout.lines[number].box.width)[:SAMPLE]


def certainty(lines: Sequence[Line]) -> float:
    """How sure a reading is of its text as a whole, 0 to 1; 0 for none.

    The confidence of words, each weighing its length; words of one or two characters weigh, but are not believed:
    noise is read as many of them, and each may be sure.
    """
    words = [word for line in lines for word in line.words]
    believed = sum(word.confidence * len(word.text) for word in words if len(word.text) >= SHORTEST)
    return believed / max(1, sum(len(word.text) for word in words))


def _whole(image: npt.NDArray[np.uint8]) -> Box:
    return Box(0, 0, image.shape[1], image.shape[0])


def _on_page(line: Line, cut: LineImage) -> Line:
    """A line that was read from an image cut out of a page, with its places on the page."""
    words = tuple(
        replace(
            word,
            box=cut.on_page(word.box),
            characters=tuple(replace(one, box=cut.on_page(one.box)) for one in word.characters),
        )
        for word in line.words
    )
    return replace(line, box=cut.on_page(line.box), words=words)


def _as_word(line: Line) -> Line:
    """The same without blanks inside."""
    if " " not in line.text:
        return line
    text = line.text.replace(" ", "")
    characters = tuple(c for word in line.words for c in word.characters)
    sure = float(np.prod([word.confidence for word in line.words]))
    return Line(
        text,
        line.box,
        (Word(text, line.box, sure, characters, line.words[0].fitted_for),),
        line.log_prob,
        line.confidence,
        line.hypotheses,
        line.language,
    )


def _probability(log_prob: float) -> float:
    return float("nan") if log_prob != log_prob else min(1.0, exp(log_prob))
