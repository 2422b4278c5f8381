"""Alignments as text: JSON and CSV, subtitles (SRT, WebVTT), Praat's TextGrid, NIST's CTM."""

import csv
import io
import json
from collections.abc import Iterator

from fastctc.align.alignment import Alignment
from fastctc.align.passages import ENDS, Passage
from fastctc.hypothesis import Segment

LINE = 42  # characters of a line of a subtitle, of which there are at most two
PAUSE = 1.0  # seconds of silence that end a subtitle
TIERS = ("sentences", "words", "characters")


def as_format(alignment: Alignment, kind: str, name: str = "recording") -> str:
    r"""An alignment in one of the formats of ``FORMATS``; ``name`` is that of the recording, where the format has one.

    Raises
    ------
    ValueError
        For a format that does not exist, and for an alignment without ``frame_seconds``.

    Examples
    --------
    >>> from fastctc import Alphabet, forced_align
    >>> frames = [[0.1, 0, 0.9], [0.9, 0, 0.1], [0, 0.8, 0.2]]
    >>> as_format(forced_align(probs=frames, text="ab", alphabet=Alphabet("ab"), frame_seconds=0.5), "ctm")
    'recording 1 0.500 1.000 ab 0.728\n'
    """
    if kind not in FORMATS:
        raise ValueError(f"the format must be one of {', '.join(FORMATS)}, got {kind!r}")
    if alignment.frame_seconds is None:
        raise ValueError("times need frame_seconds, the duration of a frame: give it to forced_align")
    return FORMATS[kind](alignment, name)


def _json(alignment: Alignment, name: str) -> str:
    tiers: dict[str, list[dict[str, str | float | bool]]] = {
        tier: [_record(alignment, segment) for segment in getattr(alignment, tier)] for tier in TIERS
    }
    head = {"name": name, "text": alignment.text, "log_prob": alignment.log_prob, "bound": alignment.bound}
    seconds = alignment.frame_seconds or 0.0
    tiers["stars"] = [
        {"start": round(first * seconds, 6), "end": round((last + 1) * seconds, 6)} for first, last in alignment.stars
    ]
    return json.dumps({**head, **tiers}, ensure_ascii=False) + "\n"


def _record(alignment: Alignment, segment: Segment | Passage) -> dict[str, str | float | bool]:
    start, end = alignment.seconds(segment)
    record: dict[str, str | float | bool] = {
        "text": segment.text,
        "start": round(start, 6),
        "end": round(end, 6),
        "probability": round(segment.probability, 6),
    }
    if isinstance(segment, Passage):
        record["missing"] = segment.missing
        if segment.spoken is not None:
            record["spoken"] = segment.spoken
    return record


def _csv(alignment: Alignment, _: str) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["tier", "start", "end", "probability", "text", "missing"])
    for tier in TIERS:
        for segment in getattr(alignment, tier):
            record = _record(alignment, segment)
            columns = [record[key] for key in ("start", "end", "probability", "text")]
            writer.writerow([tier[:-1], *columns, int(record.get("missing", False))])
    return stream.getvalue()


def _ctm(alignment: Alignment, name: str) -> str:
    lines = []
    for word in alignment.words:
        if not word.n_frames:
            continue
        start, end = alignment.seconds(word)
        lines.append(f"{name} 1 {start:.3f} {end - start:.3f} {word.text} {word.probability:.3f}\n")
    return "".join(lines)


def _srt(alignment: Alignment, _: str) -> str:
    cues = [
        f"{number}\n{_clock(start, ',')} --> {_clock(end, ',')}\n{text}\n"
        for number, (start, end, text) in enumerate(_cues(alignment), 1)
    ]
    return "\n".join(cues)


def _vtt(alignment: Alignment, _: str) -> str:
    cues = [f"\n{_clock(start, '.')} --> {_clock(end, '.')}\n{text}\n" for start, end, text in _cues(alignment)]
    # In cues these would begin a tag, or a character by its name.
    return "WEBVTT\n" + "".join(cue.replace("&", "&amp;").replace("<", "&lt;") for cue in cues)


def _textgrid(alignment: Alignment, _: str) -> str:
    tiers = [(tier, getattr(alignment, tier)) for tier in TIERS if getattr(alignment, tier)]
    end = max((alignment.seconds(segments[-1])[1] for _, segments in tiers), default=0.0)
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", "xmin = 0", f"xmax = {end:.6f}"]
    lines += ["tiers? <exists>", f"size = {len(tiers)}", "item []:"]
    for number, (tier, segments) in enumerate(tiers, 1):
        intervals, before = [], 0.0
        for segment in segments:
            start, stop = alignment.seconds(segment)
            if start == stop:
                continue  # left out: intervals are not empty
            if start > before:
                intervals.append((before, start, ""))  # a tier has no gaps
            intervals.append((start, stop, segment.text.replace('"', '""')))
            before = stop
        if before < end:
            intervals.append((before, end, ""))
        lines += [f"    item [{number}]:", '        class = "IntervalTier"', f'        name = "{tier}"']
        lines += ["        xmin = 0", f"        xmax = {end:.6f}", f"        intervals: size = {len(intervals)}"]
        for place, (start, stop, text) in enumerate(intervals, 1):
            lines += [f"        intervals [{place}]:", f"            xmin = {start:.6f}"]
            lines += [f"            xmax = {stop:.6f}", f'            text = "{text}"']
    return "\n".join(lines) + "\n"


def _cues(alignment: Alignment) -> Iterator[tuple[float, float, str]]:
    """Subtitles: words up to the end of a sentence, a pause, or two full lines."""
    texts = _texts_of_words(alignment)
    words: list[str] = []
    start = before = 0.0
    for word, text in zip(alignment.words, texts, strict=True):
        if not word.n_frames:
            continue
        begin, end = alignment.seconds(word)
        if words and (begin - before > PAUSE or len(_lines([*words, text])) > 2):
            yield start, before, "\n".join(_lines(words))
            words = []
        start = start if words else begin
        words.append(text)
        before = end
        if text[-1:] in ENDS:
            yield start, end, "\n".join(_lines(words))
            words = []
    if words:
        yield start, before, "\n".join(_lines(words))


def _texts_of_words(alignment: Alignment) -> list[str]:
    """Each word with the punctuation that follows it."""
    parts = alignment.text.split()
    return parts if len(parts) == len(alignment.words) else [word.text for word in alignment.words]


def _lines(words: list[str]) -> list[str]:
    lines: list[str] = []
    for word in words:
        if lines and len(lines[-1]) + 1 + len(word) <= LINE:
            lines[-1] += " " + word
        else:
            lines.append(word)
    return lines


def _clock(seconds: float, point: str) -> str:
    milliseconds = round(seconds * 1000)
    hours, rest = divmod(milliseconds, 3_600_000)
    minutes, rest = divmod(rest, 60_000)
    return f"{hours:02d}:{minutes:02d}:{rest // 1000:02d}{point}{rest % 1000:03d}"


FORMATS = {"json": _json, "csv": _csv, "srt": _srt, "vtt": _vtt, "textgrid": _textgrid, "ctm": _ctm}
