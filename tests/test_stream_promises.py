"""What a stream promises after commits, at random: the text of ``decode``, and numbers that enumerating paths gives."""

from itertools import product
from math import exp, inf, log, prod

import numpy as np
import pytest
from conftest import logs

from fastctc import Alphabet, BeamSearch, BestPath, Lexicon, NGram, WordBeamSearch

ALPHABET = Alphabet("abc ", word_characters="abc")
LEXICONS = [["ab", "cab", "cc", "ac"], ["a", "ab", "ba", "b"], ["a", "b", "c", "aa", "abc", "bca"]]
WORDS = NGram.train(["ab cab", "cc ac ab", "a ba b", "aa abc"], 2, unit="word")
CHARACTERS = NGram.train(["ab cab", "cc ac ab", "aba b"], 2, vocabulary=ALPHABET.characters)
SENTENCES = NGram.train(["ab cab", "cc ac ab", "aba b"], 2, sentences=True, vocabulary=ALPHABET.characters)
HOT = {"ab": 1.5, "ac": 0.75, "ab a": 0.5}


def decoder_of(kind, rng, **options):
    """A decoder of some kind; what it is beside that is left to chance."""
    width = int(rng.integers(1, 5))
    lexicon = Lexicon.from_words(LEXICONS[rng.integers(len(LEXICONS))], ALPHABET)
    hot = {word: bonus for word, bonus in HOT.items() if all(part in lexicon for part in word.split())}
    if kind == "best path":
        return BestPath(ALPHABET, **options)
    if kind == "plain":
        return BeamSearch(ALPHABET, width, **options)
    if kind == "characters":
        return BeamSearch(ALPHABET, width, lm=[CHARACTERS, SENTENCES][rng.integers(2)], **options)
    if kind == "hot words":
        return BeamSearch(ALPHABET, width, hot_words=HOT, **options)
    if kind == "lexicon":
        return BeamSearch(ALPHABET, width, lexicon=lexicon, hot_words=[None, HOT][rng.integers(2)], **options)
    if kind == "fused":
        return BeamSearch(
            ALPHABET, width, lexicon=lexicon, lm=WORDS, unknown_log_prob=[None, -3.0][rng.integers(2)], **options
        )
    if kind == "words and characters":
        return BeamSearch(ALPHABET, width, lexicon=lexicon, lm=WORDS, character_lm=CHARACTERS, **options)
    mode, _, completion = kind.partition(", ")
    lm = None if mode == "words" else WORDS
    return WordBeamSearch(
        lexicon, width, lm=lm, mode=mode, completion=completion, hot_words=[None, hot][rng.integers(2)], **options
    )


PLAIN = ["best path", "plain", "characters", "hot words", "lexicon", "fused", "words and characters"]
UNIQUE = [f"{mode}, unique" for mode in ("words", "ngrams", "ngrams_forecast")]
COMPARED = [f"{mode}, {how}" for mode in ("words", "ngrams_forecast") for how in ("best", "forced")]


def frames_of(rng, n_frames):
    """Small integers, normalised: zeros, and ties between frames, classes and whole texts."""
    while True:
        rows = rng.integers(0, [2, 3, 4, 9][rng.integers(4)], size=(n_frames, 5)).astype(float)
        rows[rng.random(n_frames) < 0.3, 4] += 2.0
        if rows.any(axis=1).all():
            return rows / rows.sum(axis=1, keepdims=True)


def run(decoder, rng, frames, as_logs):
    """The parts of a stream that is committed at random places, every one, or the last; where each part begins."""
    stream, parts, starts = decoder.stream(), [], []
    often = [0.2, 0.5, 1.0][rng.integers(3)]
    for row in frames:
        stream.push(**({"log_probs": logs(row[None])} if as_logs else {"probs": row[None]}))
        if rng.random() < often:
            starts.append(stream.first_frame)
            parts.append(stream.commit())
    starts.append(stream.first_frame)
    return parts, starts, stream.finish()


def without_completion(decoder, frames):
    """What the beam holds at the end."""
    stream = decoder.stream()
    for row in frames:
        stream.push(probs=row[None])
    return stream._search.best()


def collapsed(path):
    return tuple(c for i, c in enumerate(path) if c != 4 and (i == 0 or path[i - 1] != c))


def enumerated(frames, before, labels, ends_there):
    """Log probability of some labels behind another, and the probability of the best path."""
    total, best = 0.0, 0.0
    for path in product(*(np.flatnonzero(row) for row in frames)):
        if ends_there and path[-1] != labels[-1]:
            continue
        if collapsed((*before, *path)) == (*before, *labels):
            p = prod(row[c] for row, c in zip(frames, path, strict=True))
            total, best = total + p, max(best, p)
    return (log(total) if total else -inf), best


@pytest.mark.parametrize("backend", ["compiled", "reference"])
@pytest.mark.parametrize("kind", [*PLAIN, *UNIQUE])
def test_the_text_is_that_of_decode(kind, backend):
    rng = np.random.default_rng(sum(map(ord, kind)))
    n_committed = 0
    for _ in range(600 if backend == "compiled" else 60):
        decoder = decoder_of(kind, rng, backend=backend, exact=bool(rng.integers(2)))
        frames = frames_of(rng, int(rng.integers(1, 12)))
        as_logs = bool(rng.integers(2))
        whole = decoder.decode(logs(frames)) if as_logs else decoder.decode(probs=frames)
        parts, _, rest = run(decoder, rng, frames, as_logs)
        n_committed += any(part.text for part in parts)
        text = "".join(part.text for part in parts)
        assert [text + one.text for one in rest] == [one.text for one in whole]
        if whole:
            assert rest[0].score == pytest.approx(whole[0].score, rel=1e-9, abs=1e-9)
            assert sum((part.labels for part in parts), ()) + rest[0].labels == whole[0].labels
    assert n_committed > 5


@pytest.mark.parametrize("kind", [*PLAIN, *UNIQUE, *COMPARED])
def test_numbers_are_those_of_the_rest_behind_what_was_committed(kind):
    rng = np.random.default_rng(sum(map(ord, kind)))
    n_committed = 0
    for _ in range(80):
        decoder = decoder_of(kind, rng)
        frames = frames_of(rng, int(rng.integers(1, 7)))
        as_logs = bool(rng.integers(2))
        parts, starts, rest = run(decoder, rng, frames, as_logs)
        [whole] = decoder.decode(probs=frames) or [None]
        if kind not in PLAIN:
            found = without_completion(decoder, frames)
        if whole is None:
            assert rest == []
            continue
        stops, before, total = [*starts[1:], len(frames)], (), 0.0
        for i, (part, start, stop) in enumerate(zip([*parts, rest[0]], starts, stops, strict=True)):
            is_last = i == len(parts)
            n_committed += bool(part.labels) and not is_last
            if not is_last and not part.labels:
                assert (part.log_prob, start) == (0.0, stop)
                continue
            expected, best = enumerated(frames[start:stop], before, part.labels, not is_last)
            assert part.log_prob == pytest.approx(expected, rel=1e-9, abs=1e-9)
            assert part.confidence == pytest.approx(exp(expected), abs=1e-9)
            if expected > -inf and part.labels:
                assert len(part.timesteps) == len(part.labels)
                assert all(start <= step < stop for step in part.timesteps)
                assert sorted(set(part.timesteps)) == list(part.timesteps)
                if not is_last:
                    assert part.words == () or part.words[-1].last <= stop - 1
                assert best > 0
            before = part.labels[-1:] or before
            total += part.log_prob
        # What the search has found remains possible; what completion adds to it need not.
        labels = sum((part.labels for part in parts), ()) + rest[0].labels
        if whole.labels == labels and (kind in PLAIN or whole.labels == found):
            assert (total == -inf) == (whole.log_prob == -inf)
            assert total <= whole.log_prob + 1e-9
    assert n_committed > 2


def normalised(rows):
    rows = np.array(rows, dtype=float)
    return rows / rows.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("completion", ["best", "forced"])
def test_the_beginning_of_a_word_is_kept_for_its_completion(completion, backend):
    alphabet = Alphabet("abc ")
    lexicon = Lexicon.from_words(["ab", "cab", "cc", "ac"], alphabet)
    frames = normalised([[2, 2, 1, 0, 1], [1, 1, 2, 2, 0], [2, 1, 0, 0, 2]])
    decoder = WordBeamSearch(lexicon, 2, completion=completion, backend=backend)
    stream = decoder.stream()
    stream.push(probs=frames[:2])
    text = stream.commit().text
    stream.push(probs=frames[2:])
    assert text + stream.finish()[0].text == decoder.decode(probs=frames)[0].text


def test_a_possible_text_remains_possible(backend):
    lexicon = Lexicon.from_words(["a", "ab", "ba", "b"], Alphabet("ab "))
    frames = normalised([[1, 2, 1, 1], [2, 1, 0, 0], [0, 2, 1, 0]])
    decoder = WordBeamSearch(lexicon, 2, backend=backend)
    stream = decoder.stream()
    stream.push(probs=frames[:2])
    text = stream.commit().text
    stream.push(probs=frames[2:])
    [rest] = stream.finish()
    assert text + rest.text == decoder.decode(probs=frames)[0].text
    assert rest.log_prob > -inf
    assert rest.confidence > 0


@pytest.mark.parametrize("kind", COMPARED)
def test_completions_are_the_most_probable_given_the_frames_left(kind):
    """Of the words that begin as the last one does, by the model and the enumerated paths of the rest."""
    rng = np.random.default_rng(sum(map(ord, kind)))
    n_completed = 0
    for _ in range(150):
        decoder = decoder_of(kind, rng)
        frames = frames_of(rng, int(rng.integers(2, 8)))
        plain = WordBeamSearch(
            decoder.lexicon,
            decoder.beam_width,
            lm=decoder.lm,
            mode=decoder.mode,
            hot_words=decoder.hot_words,
            n_best=decoder.beam_width,
        )
        seed = int(rng.integers(1 << 30))
        parts, starts, rest = run(decoder, np.random.default_rng(seed), frames, False)
        before = tuple(label for part in parts for label in part.labels)
        committed = "".join(part.text for part in parts)
        # The beginning of a word has never been let go.
        assert committed == "" or committed[-1] == " "
        if not rest or rest[0].text == "":
            continue
        uncompleted = plain.stream()
        for row in frames:
            uncompleted.push(probs=row[None])
        texts = [ALPHABET.decode(labels) for labels, _ in uncompleted._search._beams.best(99)]
        known = [t for t in texts if (t.split(" ")[-1] or "") in ("", *decoder.lexicon.all_words())]
        base = known[0] if "forced" in kind and known else texts[0]
        *_, last = base.split(" ")
        if last == "" or last in decoder.lexicon:
            assert committed + rest[0].text == base
            continue
        stem = base[: len(base) - len(last)][len(committed) :]
        history = base[: len(base) - len(last)].split()
        value = {}
        for word in decoder.lexicon.all_words():
            if word.startswith(last):
                labels = ALPHABET.encode(stem + word)
                paths, _ = enumerated(frames[starts[-1] :], before[-1:], tuple(labels), False)
                weight = 0.0
                if decoder.lm is not None:
                    weight = decoder.lm.log_probs_of([*history, word])[-1]
                value[word] = paths + weight
        found = rest[0].text[len(stem) :]
        n_completed += 1
        assert value[found] >= max(value.values()) - 1e-6
    assert n_completed > 3
