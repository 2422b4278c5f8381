"""Loss, probability and posteriors of a given text.

All of them are exact for any number of frames, and computed in double precision.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import pairwise
from math import inf
from typing import Any, Literal, overload

import numpy as np
from numpy.typing import NDArray

from fastctc.alphabet import Alphabet
from fastctc.compiled import loss
from fastctc.compiled.gradient import gradients
from fastctc.frames import Frames, as_batch, as_frames
from fastctc.threads import share

Text = str | Sequence[int]
Doubles = NDArray[np.float64]
PART = 8  # sequences that are done at a time,
LARGEST = 1 << 22  # unless they are this long together, in numbers: a copy of them is not interrupted by Ctrl-C


def log_probability(
    log_probs: Any = None,
    text: Text | None = None,
    alphabet: Alphabet | None = None,
    *,
    probs: Any = None,
    logits: Any = None,
    scores: Any = None,
) -> float:
    """Natural logarithm of P(text | frames), summed over all paths by the forward algorithm.

    Parameters
    ----------
    log_probs : array-like (frames, classes)
        Natural log probabilities; or ``probs``, ``logits`` or ``scores``, by name.
    text : str or sequence of int
        The text, or its labels.
    alphabet : Alphabet

    Returns
    -------
    float
        -inf for a text that is impossible, as is one that needs more frames than there are.

    Raises
    ------
    ValueError
        For frames that decoders refuse too, and for a character that is not in the alphabet.

    Notes
    -----
    Takes O(T L) time for T frames and L labels, and O(L) memory.

    References
    ----------
    A. Graves, S. Fernández, F. Gomez, J. Schmidhuber: Connectionist Temporal Classification, ICML 2006.

    Examples
    --------
    >>> from math import exp
    >>> from fastctc import Alphabet, log_probability
    >>> exp(log_probability(probs=[[0.4, 0, 0.6], [0.4, 0, 0.6]], text="a", alphabet=Alphabet("ab")))
    0.64
    """
    if text is None or alphabet is None:
        raise missing(text=text, alphabet=alphabet)
    frames = as_frames(alphabet.n_classes, log_probs, probs, logits, scores).checked()
    return _log_probability(frames, labels_of(alphabet, text), alphabet.blank) + frames.log_normalizer


@overload
def ctc_loss(
    log_probs: Any = None,
    texts: Text | Sequence[Text] | None = None,
    alphabet: Alphabet | None = None,
    lengths: Sequence[int] | None = None,
    threads: int | None = None,
    *,
    gradient: Literal[False] = False,
    probs: Any = None,
    logits: Any = None,
    scores: Any = None,
) -> float | Doubles: ...


@overload
def ctc_loss(
    log_probs: Any = None,
    texts: Text | Sequence[Text] | None = None,
    alphabet: Alphabet | None = None,
    lengths: Sequence[int] | None = None,
    threads: int | None = None,
    *,
    gradient: Literal[True],
    probs: Any = None,
    logits: Any = None,
    scores: Any = None,
) -> tuple[float | Doubles, Doubles | list[Doubles]]: ...


def ctc_loss(
    log_probs: Any = None,
    texts: Text | Sequence[Text] | None = None,
    alphabet: Alphabet | None = None,
    lengths: Sequence[int] | None = None,
    threads: int | None = None,
    *,
    gradient: bool = False,
    probs: Any = None,
    logits: Any = None,
    scores: Any = None,
) -> float | Doubles | tuple[float | Doubles, Doubles | list[Doubles]]:
    """CTC loss, -log P(text | frames): of one text, or of each text of a batch; and its gradient.

    Parameters
    ----------
    log_probs : array-like (frames, classes), or (batch, frames, classes), or a list of (frames, classes)
        Natural log probabilities; or ``probs``, ``logits`` or ``scores``, by name.
    texts : str or sequence of int, or a list of them
        The text, or its labels; a list of them for a batch.
    alphabet : Alphabet
    lengths : sequence of int, optional
        How many frames of each sequence of a batch count.
    threads : int, default 1
        Number of threads that share a batch.
    gradient : bool, default False
        Whether to return the gradient too.

    Returns
    -------
    float, or array (batch,) of float64
        In nats. inf for a text that is impossible, as is one that needs more frames than there are.
    array of float64, or list of arrays
        Only with ``gradient``: the derivative of each loss by each number given, in their shape; a list of sequences
        gives a list of arrays. Zeros behind the frames that count, and wherever the text is impossible. With γ, the
        probability of a class in a frame given the text, it is -γ by log probabilities and scores, softmax - γ by
        logits, and -γ/p by probabilities. (Where p is 0 that is its limit, what the loss would fall by if p grew.)

    Raises
    ------
    ValueError
        As :func:`log_probability`, and for unequally many sequences and texts.

    Notes
    -----
    The gradient takes O(T L) time for T frames and L labels, four to six times that of the loss, and, besides the
    result, up to 64 MB: of long texts only the sums of every √T-th frame are kept, O(√T L).

    References
    ----------
    A. Graves, S. Fernández, F. Gomez, J. Schmidhuber: Connectionist Temporal Classification, ICML 2006.

    Examples
    --------
    >>> from fastctc import Alphabet, ctc_loss
    >>> frames = [[0.4, 0, 0.6], [0.4, 0, 0.6]]
    >>> ctc_loss(probs=frames, texts="a", alphabet=Alphabet("ab"))
    0.4462871026284195
    >>> ctc_loss(probs=[frames, frames], texts=["a", "aa"], alphabet=Alphabet("ab"))
    array([0.4462871,       inf])
    >>> loss, gradient = ctc_loss(logits=[[2.0, 0, 1], [0, 1, 3]], texts="a", alphabet=Alphabet("ab"), gradient=True)
    >>> gradient.round(3)
    array([[-0.318,  0.09 ,  0.228],
           [-0.022,  0.114, -0.092]])
    """
    if texts is None or alphabet is None:
        raise missing(texts=texts, alphabet=alphabet)
    one = _is_one(texts, log_probs, probs, logits, scores)
    if one and lengths is not None:
        raise ValueError("lengths go with a batch of sequences and a list of texts, got a single text")
    if one and not gradient:
        return 0.0 - log_probability(log_probs, texts, alphabet, probs=probs, logits=logits, scores=scores)  # type: ignore[arg-type]
    forms = [list(f) if isinstance(f, Iterator) else f for f in (log_probs, probs, logits, scores)]
    if one:
        many: Sequence[Any] = [texts]
        batch = [as_frames(alphabet.n_classes, *forms)]
    else:
        many = texts
        batch = as_batch(alphabet.n_classes, forms[0], forms[1], forms[2], lengths, forms[3])
    if len(batch) != len(many):
        raise ValueError(f"there must be one text a sequence, got {len(batch)} sequences and {len(many)} texts")
    slopes: Any = [None] * len(batch)
    if gradient:
        [given] = [form for form in forms if form is not None]
        slopes = [np.zeros(batch[0].values.shape)] if one else _zeros_like(given)
    items = list(zip(batch, many, slopes, strict=True))
    size = max(1, min(PART, LARGEST // max([frames.values.size + 1 for frames in batch], default=1)))
    parts = [items[start : start + size] for start in range(0, len(items), size)]
    work = partial(_losses, alphabet=alphabet, by_logits=logits is not None)
    found = [value for part in share(parts, lambda: work, threads) for value in part]
    log_normalizers = [frames.log_normalizer for frames in batch]
    losses = 0.0 - (np.array(found, np.float64) + np.array(log_normalizers, np.float64))
    if not gradient:
        return losses
    return (float(losses[0]), slopes[0]) if one else (losses, slopes)


def posteriors(
    log_probs: Any = None,
    text: Text | None = None,
    alphabet: Alphabet | None = None,
    *,
    probs: Any = None,
    logits: Any = None,
    scores: Any = None,
) -> Doubles:
    """Probability of each label of a text in each frame, given the text (forward-backward algorithm).

    Parameters as in :func:`log_probability`.

    Returns
    -------
    array (frames, labels) of float64
        Rows sum to the probability that the frame shows any label; the rest is the blank.

    Raises
    ------
    ValueError
        As :func:`log_probability`, and for a text whose probability is 0.

    Notes
    -----
    Takes O(T L) time for T frames and L labels, and no memory to speak of besides the result.

    Examples
    --------
    >>> from fastctc import Alphabet, posteriors
    >>> posteriors(probs=[[0.4, 0, 0.6], [0.4, 0, 0.6]], text="a", alphabet=Alphabet("ab")).round(3)
    array([[0.625],
           [0.625]])
    """
    if text is None or alphabet is None:
        raise missing(text=text, alphabet=alphabet)
    frames = as_frames(alphabet.n_classes, log_probs, probs, logits, scores).checked()
    labels = labels_of(alphabet, text)
    _refuse_impossible(frames, labels, alphabet)
    return loss.posteriors(frames.doubles(), labels, alphabet.blank, frames.is_log)


def _losses(part: Sequence[tuple[Frames, Any, Doubles | None]], alphabet: Alphabet, by_logits: bool) -> list[float]:
    """The log probability of each text; where there is room for the gradient of the loss, that is put there."""
    stops = np.cumsum([len(frames.checked().values) for frames, _, _ in part])
    values = np.concatenate([frames.values for frames, _, _ in part], dtype=np.float64)
    pieces = np.split(values, stops[:-1])
    is_log = part[0][0].is_log
    batch = [(piece, labels_of(alphabet, text)) for piece, (_, text, _) in zip(pieces, part, strict=True)]
    if part[0][2] is None:
        return loss.log_probabilities(batch, alphabet.blank, is_log)
    found = gradients(batch, alphabet.blank, is_log)
    for piece, (_, _, slope), (total, growth) in zip(pieces, part, found, strict=True):
        if slope is not None and total > -inf:
            np.subtract(np.exp(piece) if by_logits else 0.0, growth, out=slope[: len(piece)])
    return [total for total, _ in found]


def _zeros_like(given: Any) -> Doubles | list[Doubles]:
    """Room for the gradient of a batch."""
    if isinstance(given, list | tuple):
        return [np.zeros(np.shape(sequence)) for sequence in given]
    return np.zeros(np.shape(given))


def missing(**parameters: Any) -> TypeError:
    """They have no default, though they stand behind the frames, which may come by another name."""
    return TypeError(f"{next(name for name, value in parameters.items() if value is None)} must be given")


def _is_one(texts: Text | Sequence[Text], *frames: Any) -> bool:
    """Whether these are one text. No labels at all are one where the frames are one sequence."""
    if isinstance(texts, str):
        return True
    if len(texts):
        return isinstance(texts[0], int | np.integer)
    return not any(_is_batch(value) for value in frames if value is not None)


def _is_batch(frames: Any) -> bool:
    if isinstance(frames, list | tuple):
        return not len(frames) or np.ndim(frames[0]) > 1
    return isinstance(frames, Iterator) or len(getattr(frames, "shape", ())) > 2


def labels_of(alphabet: Alphabet, text: Text) -> tuple[int, ...]:
    """Labels of a text that is given as such or by its labels."""
    if isinstance(text, str):
        return alphabet.encode(text)
    return tuple(int(label) for label in text)


def _log_probability(frames: Frames, labels: tuple[int, ...], blank: int) -> float:
    return loss.log_probability(frames.doubles(), labels, blank, frames.is_log)


def _refuse_impossible(frames: Frames, labels: tuple[int, ...], alphabet: Alphabet) -> None:
    needed = len(labels) + sum(a == b for a, b in pairwise(labels))
    if needed > len(frames.values):
        raise ValueError(
            f"the text needs at least {needed} frames (one a character, and a blank between equal neighbours), "
            f"got {len(frames.values)}: its probability is 0"
        )
    if _log_probability(frames, labels, alphabet.blank) == -inf:
        raise ValueError("the text has probability 0: every path that reads so meets a class of probability 0")
