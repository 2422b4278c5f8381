"""Forced alignment: the most probable path that reads as a given text, and the frames of its parts."""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from math import inf, isfinite
from typing import Any, NamedTuple

from fastctc.align.fit import UNFIT, unfitness
from fastctc.align.passages import ENDS, Passage, losses, seems_missing
from fastctc.align.probabilities import Span, probabilities_of
from fastctc.align.reading import read
from fastctc.align.wording import Forms, Wording, elements_of
from fastctc.alphabet import Alphabet
from fastctc.compiled.viterbi import best_alignment
from fastctc.frames import Frames, as_batch, as_frames
from fastctc.hypothesis import Segment, segments
from fastctc.loss import Text, labels_of, missing
from fastctc.threads import share

WHOLE = 1 << 22  # labels times frames of a lattice that is gone through as a whole
REACH = 1000.0  # nats by which a state may be worse than the best of its frame, at first
CHEAP = 1 << 36  # labels times frames of an alignment that is proven even if nobody wants that
WIDENED = 1 << 31  # labels of all frames that are gone through where a wider band may be needed for that
MOST = 1 << 34  # ... in any case
SEARCH = 0.3  # of the work, which the search is


class Alignment(NamedTuple):
    """Where the characters and words of a text stand in the frames, on its most probable path."""

    text: str
    log_prob: float  # natural logarithm of the probability of that path, or the sum of its scores
    characters: tuple[Segment, ...]
    words: tuple[Passage, ...]
    sentences: tuple[Passage, ...] = ()  # words up to one that ends in . ! ? or …, and what is left
    bound: float = 0.0  # nats by which another path may be better that was not looked at; 0: none is
    frame_seconds: float | None = None  # duration of a frame
    stars: tuple[Span, ...] = ()  # first and last frames of what the text does not say

    @property
    def proven(self) -> bool:
        """Whether no path of this text is better."""
        return self.bound == 0.0

    def seconds(self, segment: Segment | Passage) -> tuple[float, float]:
        """Start and end of a segment; the end is where its last frame ends.

        Raises
        ------
        ValueError
            If the alignment does not know how long a frame is.
        """
        if self.frame_seconds is None:
            raise ValueError("times need frame_seconds, the duration of a frame: give it to forced_align")
        return segment.first * self.frame_seconds, (segment.last + 1) * self.frame_seconds


def forced_align(
    log_probs: Any = None,
    text: Text | None = None,
    alphabet: Alphabet | None = None,
    *,
    probs: Any = None,
    logits: Any = None,
    scores: Any = None,
    frame_seconds: float | None = None,
    memory: int = 256 << 20,
    star: float | None = None,
    skip_text: float | None = None,
    skip_audio: float | None = None,
    alternatives: Mapping[str, Forms] | None = None,
    spoken: Callable[[str], Forms] | None = None,
    prove: bool = False,
    threads: int | None = None,
    progress: Callable[[float], object] | None = None,
) -> Alignment:
    """Align a given text: the most probable path that reads as the text, and the frames of its characters and words.

    Recordings may be hours long, and their frames mapped from disk (``np.load(..., mmap_mode="r")``).

    Parameters
    ----------
    log_probs : array-like (frames, classes)
        Natural log probabilities; or ``probs``, ``logits`` or ``scores``, by name.
    text : str or sequence of int
        The text, or its labels.
    alphabet : Alphabet
    frame_seconds : float, optional
        Duration of a frame, for times in seconds.
    memory : int, default 256 MiB
        Bytes that the search may take for scores, beside the frames and the result.
    star : float, optional
        What a frame costs, in nats, in a word ``*`` of the text, which stands for anything, or for nothing. 2.0 suits
        most networks. A frame gives what its best class has, less this; one that shows a blank costs nothing.
    skip_text : float, optional
        What it costs to leave out a word, for each of its characters: 2.0, say.
    skip_audio : float, optional
        What a frame costs that the text does not say, between any two words and at the ends: 2.0, say.
    alternatives : mapping of str to str or sequence of str, optional
        Other forms of words, as ``{"21": "twenty one"}``, beside what is written, if that can be spelled.
    spoken : callable, optional
        Called with each word (what stands between blank spaces); returns its form or forms, ``""`` if it is not spoken.
    prove : bool, default False
        Whether to search as widely as a proof takes that no path is better. What is cheap is proven anyway: some hours.
    threads : int, default 1
        Number of threads that share the probabilities of a long recording.
    progress : callable, optional
        Called now and then, from any of the threads, with the share of the work that is done; at last with 1.

    Returns
    -------
    Alignment
        ``characters``, ``words`` and ``sentences``, each with text, first and last frame, and posterior probability;
        words and sentences also say whether they seem to be ``missing``. ``proven``, or else ``bound``.

    Raises
    ------
    ValueError
        As :func:`log_probability`; for a text whose probability is 0; for one that is not what the frames show, if it
        takes a wide search to tell; for a duration that is not positive, and threads below 1.

    Notes
    -----
    Takes O(T B) time for T frames and a band of B labels, and O(sqrt(T) B) memory. The band holds, in each frame, the
    labels within some nats of the best one: it is as wide as the frames leave open where they are. A path outside is
    better only if the frames' best classes make up for what it lost up to leaving the band and loses after coming back;
    that this is impossible is the proof. Short texts are aligned in the whole lattice. Of equally probable paths the
    one is taken that stays longest in what comes first, seen from the end. Probabilities are those of all paths; of
    more than some thousand frames, of the paths that agree with the alignment in a few pauses between words.

    With any of ``star``, ``skip_text``, ``skip_audio``, ``alternatives`` and ``spoken`` words are what stands between
    blank spaces, in their number and order, stars aside; one that was left out stands in no frames. The search looks
    at a band of words, beyond some ten minutes of speech, and says by ``bound`` what it may miss; as much text can be
    left out at once as its price lets it be within 2 000 nats. Probabilities are those of the forms that were found.

    References
    ----------
    G. D. Forney: The Viterbi Algorithm, Proceedings of the IEEE 61, 1973.

    Examples
    --------
    >>> from fastctc import Alphabet, forced_align
    >>> aligned = forced_align(probs=[[0.1, 0, 0.9], [0.9, 0, 0.1], [0, 0.8, 0.2]], text="ab", alphabet=Alphabet("ab"))
    >>> [(character.text, character.first, character.last) for character in aligned.characters]
    [('a', 1, 1), ('b', 2, 2)]
    """
    if text is None or alphabet is None:
        raise missing(text=text, alphabet=alphabet)
    _check(frame_seconds, memory)
    wording = Wording(star, skip_text, skip_audio, alternatives, spoken)
    wording.check()
    frames = as_frames(alphabet.n_classes, log_probs, probs, logits, scores).checked()
    return _align(frames, text, alphabet, wording, frame_seconds, memory, prove, threads, progress)


def forced_align_batch(
    log_probs: Any = None,
    texts: Sequence[Text] | None = None,
    alphabet: Alphabet | None = None,
    lengths: Sequence[int] | None = None,
    threads: int | None = None,
    *,
    probs: Any = None,
    logits: Any = None,
    scores: Any = None,
    frame_seconds: float | None = None,
    memory: int = 256 << 20,
    star: float | None = None,
    skip_text: float | None = None,
    skip_audio: float | None = None,
    alternatives: Mapping[str, Forms] | None = None,
    spoken: Callable[[str], Forms] | None = None,
    prove: bool = False,
) -> list[Alignment]:
    """Align a text with each sequence of a batch.

    Parameters
    ----------
    log_probs : array-like (batch, frames, classes), or a list of (frames, classes)
        Natural log probabilities; or ``probs``, ``logits`` or ``scores``, by name.
    texts : list of str, or of sequences of int
        One text a sequence.
    alphabet : Alphabet
    lengths : sequence of int, optional
        How many frames of each sequence count.
    threads : int, default 1
        Number of threads that share the batch; each may take ``memory``.
    frame_seconds, memory, star, skip_text, skip_audio, alternatives, spoken, prove
        As in :func:`forced_align`.

    Returns
    -------
    list of Alignment

    Raises
    ------
    ValueError
        As :func:`forced_align`, with the number of the sequence; for unequally many sequences and texts.

    Examples
    --------
    >>> from fastctc import Alphabet, forced_align_batch
    >>> frames = [[0.1, 0, 0.9], [0.9, 0, 0.1], [0, 0.8, 0.2]]
    >>> aligned = forced_align_batch(probs=[frames, frames], texts=["ab", "ab"], alphabet=Alphabet("ab"))
    >>> [one.words[0].first for one in aligned]
    [1, 1]
    """
    if texts is None or alphabet is None:
        raise missing(texts=texts, alphabet=alphabet)
    _check(frame_seconds, memory)
    wording = Wording(star, skip_text, skip_audio, alternatives, spoken)
    wording.check()
    batch = as_batch(alphabet.n_classes, log_probs, probs, logits, lengths, scores)
    if isinstance(texts, str) or len(batch) != len(texts):
        raise ValueError(f"there must be one text a sequence, got {len(batch)} sequences and {len(texts)} texts")

    def one(pair: tuple[Frames, Text]) -> Alignment:
        frames, text = pair
        try:
            return _align(frames.checked(), text, alphabet, wording, frame_seconds, memory, prove)
        except ValueError as error:
            if str(error).startswith("sequence "):
                raise
            raise ValueError(f"sequence {frames.number} of the batch: {error}") from None

    return share(list(zip(batch, texts, strict=True)), lambda: one, threads)


def _check(frame_seconds: float | None, memory: int) -> None:
    if frame_seconds is not None and not 0 < frame_seconds < inf:
        raise ValueError(f"frame_seconds must be positive and finite, got {frame_seconds}")
    if memory < 1:
        raise ValueError(f"memory must be 1 byte or more, got {memory}")


def _align(
    frames: Frames,
    text: Text,
    alphabet: Alphabet,
    wording: Wording,
    frame_seconds: float | None,
    memory: int,
    prove: bool,
    threads: int | None = None,
    progress: Callable[[float], object] | None = None,
) -> Alignment:
    if not wording.is_plain:
        elements = elements_of(text, alphabet, wording)
        reading = read(frames, elements, alphabet, memory, prove, threads, progress)
        score = reading.score + frames.log_normalizer
        parts = reading.characters, reading.words, reading.sentences
        return Alignment(elements.text, score, *parts, reading.bound, frame_seconds, reading.stars)
    labels, blank = labels_of(alphabet, text), alphabet.blank
    score, first, last, bound = align_labels(frames, labels, blank, memory, prove)
    if bound > 0.0 and (share_lost := unfitness(frames, labels, blank, first, last)) > UNFIT:
        raise ValueError(
            "the text does not seem to be what the frames show: in its order its labels lose "
            f"{share_lost:.0%} of what they lose in any order"
        )
    if progress is not None:
        progress(SEARCH)

    def later(share: float) -> None:
        if progress is not None:
            progress(SEARCH + (1.0 - SEARCH) * share)

    words = alphabet.words(labels)
    sentences = _sentences(alphabet, labels, words)
    spans = [(i, i + 1) for i in range(len(labels))] + words + sentences
    probabilities = probabilities_of(frames, labels, blank, spans, words, first, last, None, threads, later)
    found = segments(alphabet, labels, spans, first, last, probabilities)
    n, m = len(labels), len(labels) + len(words)
    sums = losses(frames, labels, blank, first, last)
    passages = []
    for number, (segment, (start, stop)) in enumerate(zip(found[n:], spans[n:], strict=True)):
        lost = float(sums[segment.last + 1] - sums[segment.first])
        passages.append(Passage(*segment, seems_missing(lost, stop - start, number >= len(words))))
    return Alignment(
        alphabet.decode(labels),
        score + frames.log_normalizer,
        found[:n],
        tuple(passages[: m - n]),
        tuple(passages[m - n :]),
        bound,
        frame_seconds,
    )


def align_labels(
    frames: Frames, labels: tuple[int, ...], blank: int, memory: int = 256 << 20, prove: bool = False
) -> tuple[float, tuple[int, ...], tuple[int, ...], float]:
    """Score, first and last frames of the labels, and the bound."""
    values, n_frames, n_labels = frames.values, len(frames.values), len(labels) + 1
    needed = len(labels) + sum(a == b for a, b in pairwise(labels))
    if needed > n_frames:
        raise ValueError(
            f"the text needs at least {needed} frames (one a character, and a blank between equal neighbours), "
            f"got {n_frames}: its probability is 0"
        )
    reach = inf if n_frames * n_labels <= WHOLE else REACH
    closely = prove or n_frames * n_labels <= CHEAP
    found: tuple[float, tuple[int, ...], tuple[int, ...], float] | None = None
    while True:
        score, first, last, bound, widest = best_alignment(
            values, labels, blank, frames.is_log, reach, MOST, memory, closely
        )
        if score == -inf:
            if found is not None:  # to look further would be too much work: it keeps its bound
                return found
            if reach == inf and n_frames * n_labels <= MOST:
                raise ValueError("the text has probability 0: every path that reads so meets a class of probability 0")
            if reach >= 64 * REACH:
                raise ValueError(
                    f"the text does not seem to be what the frames show: no path within {reach:.0f} nats of the best "
                    f"beginnings reads so, and the whole lattice has {n_frames} x {2 * n_labels - 1} states"
                )
            if widest * n_frames > MOST:  # a wider one would be given up as this was
                raise ValueError(
                    f"the text does not seem to be what the frames show: {widest} of its {n_labels - 1} labels are "
                    f"within {reach:.0f} nats of the best in a frame, and no such path reads as the whole of it"
                )
            reach = 8 * reach if n_frames * n_labels > MOST // 16 else inf
            continue
        found = (score, first, last, bound)
        if bound == 0.0 or not closely:
            return found
        wider = reach + 0.55 * bound + 20.0
        if not isfinite(wider) or wider / reach * widest * n_frames > (MOST if prove else WIDENED):
            return found
        reach = wider


def _sentences(alphabet: Alphabet, labels: tuple[int, ...], words: list[Span]) -> list[Span]:
    """From the first word to one that ends a sentence, punctuation behind it included."""
    symbols, found, start = alphabet.symbols, [], -1
    for number, (begin, stop) in enumerate(words):
        start = begin if start < 0 else start
        end = words[number + 1][0] if number + 1 < len(words) else len(labels)
        while stop < end and not symbols[labels[stop]].isspace():
            stop += 1
        if end == len(labels) or any(symbols[label][-1] in ENDS for label in labels[stop - 2 : stop]):
            found.append((start, stop))
            start = -1
    return found
