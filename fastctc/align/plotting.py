"""A picture of an alignment: the frames, the path, and the words."""

from typing import Any

import numpy as np

from fastctc.align.alignment import Alignment
from fastctc.alphabet import Alphabet
from fastctc.frames import as_frames

INSTALL = 'plots need matplotlib: pip install "fastctc[plot]"'
MOST = 2000  # frames that a picture may show
PATH, MISSING, STAR = "#D55E00", "#CC79A7", "#0072B2"  # Okabe and Ito's colours, which people with any sight tell apart


def plot_alignment(
    alignment: Alignment,
    log_probs: Any = None,
    alphabet: Alphabet | None = None,
    *,
    probs: Any = None,
    logits: Any = None,
    scores: Any = None,
    start: int = 0,
    stop: int | None = None,
    ax: Any = None,
) -> Any:
    """Draw the frames' probabilities of the text's characters, the path through them, and the words above it.

    Words that seem to be missing have another colour and a question mark; what the text does not say is shaded.

    Parameters
    ----------
    alignment : Alignment
    log_probs : array-like (frames, classes)
        The frames that were aligned; or ``probs``, ``logits`` or ``scores``, by name.
    alphabet : Alphabet
    start, stop : int, optional
        The frames to draw, 2 000 at most: by default the first ones.
    ax : matplotlib axes, optional
        Where to draw; by default a figure of its own, ``ax.figure``.

    Returns
    -------
    matplotlib axes

    Raises
    ------
    ValueError
        For frames that decoders refuse too, and a stretch that is empty, too long, or not within them.
    ImportError
        If matplotlib is not installed.

    Examples
    --------
    >>> from fastctc import Alphabet, forced_align
    >>> from fastctc.align import plot_alignment
    >>> frames = [[0.1, 0, 0.9], [0.9, 0, 0.1], [0, 0.8, 0.2]]
    >>> aligned = forced_align(probs=frames, text="ab", alphabet=Alphabet("ab"))
    >>> plot_alignment(aligned, probs=frames, alphabet=Alphabet("ab")).figure.savefig("ab.png")  # doctest: +SKIP
    """
    if alphabet is None:
        raise TypeError("an alphabet must be given")
    frames = as_frames(alphabet.n_classes, log_probs, probs, logits, scores)
    n_frames = len(frames.values)
    stop = min(n_frames, start + MOST) if stop is None else stop
    if not 0 <= start < stop <= n_frames or stop - start > MOST:
        raise ValueError(
            f"start and stop must be a stretch of 1 to {MOST} of the {n_frames} frames, got {start} to {stop}"
        )
    rows = frames._replace(values=frames.values[start:stop]).checked().values
    rows = np.exp(rows, dtype=np.float64) if frames.is_log else rows
    shown = [c for c in alignment.characters if c.first < stop and c.last >= start]
    names = dict.fromkeys(character.text for character in shown)
    classes = [alphabet.blank, *sorted({alphabet.encode(name)[0] for name in names})]
    row_of = {label: number for number, label in enumerate(classes)}
    if ax is None:
        ax = _axes(min(16.0, 4.0 + (stop - start) / 40), 1.6 + 0.2 * len(classes))
    ax.imshow(
        rows[:, classes].T, aspect="auto", origin="upper", cmap="Greys", vmin=0.0, vmax=1.0, interpolation="nearest",
        extent=(start - 0.5, stop - 0.5, len(classes) - 0.5, -0.5),
    )  # fmt: skip
    path = np.zeros(stop - start)
    for character in shown:
        row = row_of[alphabet.encode(character.text)[0]]
        path[max(0, character.first - start) : character.last + 1 - start] = row
    for first, last in alignment.stars:
        if first < stop and last >= start:
            ax.axvspan(max(first, start) - 0.5, min(last + 1, stop) - 0.5, color=STAR, alpha=0.2, linewidth=0)
            path[max(0, first - start) : last + 1 - start] = np.nan
    ax.step(np.arange(start, stop), path, where="mid", color=PATH, linewidth=0.8, alpha=0.4)
    ax.hlines(path, np.arange(start, stop) - 0.5, np.arange(start, stop) + 0.5, color=PATH, linewidth=2.0)
    _words(ax, alignment, start, stop)
    ax.set_yticks(range(len(classes)), ["blank", *(_visible(alphabet.symbols[label]) for label in classes[1:])])
    ax.set(xlim=(start - 0.5, stop - 0.5), xlabel="frame", ylabel="class")
    seconds = alignment.frame_seconds
    if seconds is not None:
        ax.set_xlabel("seconds")
        ax.xaxis.set_major_formatter(lambda frame, _: f"{frame * seconds:.4g}")
    return ax


def _axes(width: float, height: float) -> Any:
    """Axes of a figure that no window shows."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(f"{INSTALL} ({error})") from None
    figure = Figure(layout="constrained", figsize=(width, height))
    FigureCanvasAgg(figure)
    return figure.subplots()


def _words(ax: Any, alignment: Alignment, start: int, stop: int) -> None:
    """Boxes above the frames with the words, upright where they have no room to lie."""
    shown = [word for word in alignment.words if word.first < stop and word.last >= start]
    per_character = (stop - start) / 110  # frames
    upright = any(word.n_frames < per_character * len(word.text) for word in shown)
    transform = ax.get_xaxis_transform()
    for word in shown:
        left, right = max(word.first, start) - 0.5, min(word.last + 1, stop) - 0.5
        ax.axvspan(left, right, 1.005, 1.035, clip_on=False, color=MISSING if word.missing else PATH, linewidth=0)
        for edge in (left, right):
            ax.axvline(edge, color=PATH, linewidth=0.4, alpha=0.5)
        ax.text(
            (left + right) / 2, 1.05, f"{word.text}?" if word.missing else word.text, transform=transform,
            rotation=90 if upright else 0, ha="center", va="bottom", fontsize=8,
            color=MISSING if word.missing else "black",
        )  # fmt: skip


def _visible(symbol: str) -> str:
    return "space" if symbol == " " else symbol
