"""Streams: pieces of any size give what the whole gives; and beams with a model, against the reference."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import as_array, matrices, peaky, width
from hypothesis import given
from hypothesis import strategies as st

from fastctc import Alphabet, BeamSearch, BestPath, Lexicon, NGram, backends
from fastctc.search_inputs import CharacterModel

TEXT = "a cab backed a bad cabbage "
ALPHABET = Alphabet("abcdefgk ")
MODEL = NGram.train(TEXT * 3, 3, vocabulary=ALPHABET.characters)
SENTENCES = NGram.train(["a cab", "backed a", "a bad cabbage"], 3, sentences=True, vocabulary=ALPHABET.characters)
MODELS = [None, MODEL, NGram.train(TEXT, 2, smoothing="add-k", k=0.0), SENTENCES]


def decoder_of(number, n_best, options):
    if number == len(MODELS):
        return BestPath(ALPHABET, **options)
    return BeamSearch(ALPHABET, 8, lm=MODELS[number], n_best=n_best, **options)


@given(matrices(max_frames=8, max_classes=5), st.integers(1, 10), st.sampled_from([0.3, 1.0, 2.0]), st.data())
def test_twins_with_a_model(case, beam_width, weight, data):
    rows, blank = case
    n_classes = width(rows, blank)
    if n_classes < 2:
        return
    alphabet = Alphabet("abcde"[: n_classes - 1], blank)
    lines = data.draw(st.lists(st.text("abcdef ", min_size=1, max_size=20), min_size=1, max_size=5))
    smoothing, k = data.draw(st.sampled_from([("kneser-ney", 1.0), ("add-k", 0.0), ("add-k", 0.5)]))
    order = data.draw(st.integers(1, 4))
    lm = NGram.train(lines, order, smoothing=smoothing, k=k, sentences=data.draw(st.booleans()))
    options = {"lm": lm, "lm_weight": weight, "character_bonus": data.draw(st.sampled_from([0.0, -0.5, 1.5]))}
    decoders = [BeamSearch(alphabet, beam_width, backend=backend, **options) for backend in ("reference", "compiled")]
    model = decoders[0]._character_model
    probs = as_array(rows, n_classes)
    expected, found = (
        backends.load(d.backend, "beam_search").beam_search(probs, blank, beam_width, beam_width, model)
        for d in decoders
    )
    assert [labels for labels, _ in found] == [labels for labels, _ in expected]
    assert [score for _, score in found] == pytest.approx([score for _, score in expected], rel=1e-12)


@pytest.mark.parametrize("order", [1, 2, 5])
@pytest.mark.parametrize("beam_width", [3, pytest.param(25, marks=pytest.mark.slow)])
@pytest.mark.parametrize("weight", [0.2, 1.0])
@pytest.mark.parametrize("sentences", [False, True])
def test_twins_with_a_model_on_frames_of_real_size(order, beam_width, weight, sentences):
    rng = np.random.default_rng(order)
    lm = NGram.train([TEXT * 3, TEXT[:9] * 2], order, sentences=sentences, vocabulary=ALPHABET.characters)
    log_probs = peaky(rng, 60, 10) / 2
    log_probs -= np.log(np.exp(log_probs).sum(axis=1, keepdims=True))
    options = {"lm": lm, "lm_weight": weight, "character_bonus": 0.1, "n_best": beam_width}
    a, b = (BeamSearch(ALPHABET, beam_width, backend=x, **options).decode(log_probs) for x in ("reference", "compiled"))
    assert [h.labels for h in a] == [h.labels for h in b]
    for one, other in zip(a, b, strict=True):
        assert one.score == pytest.approx(other.score, rel=1e-12)
        assert one.lm_log_prob == pytest.approx(lm.score(one.text), rel=1e-6)
        assert one.score <= one.log_prob + weight * one.lm_log_prob + 0.1 * len(one.text) + 1e-9


@pytest.mark.parametrize("lines", [["abcabacab"], ["ab", "cab", "cabac", "a"]], ids=["running", "sentences"])
def test_a_wide_beam_with_a_model_is_exact(backend, lines):
    rng = np.random.default_rng(5)
    alphabet = Alphabet("abc")
    lm = NGram.train(lines, 3, sentences=len(lines) > 1)
    for _ in range(20):
        log_probs = peaky(rng, 4, 4)
        found = BeamSearch(alphabet, 400, lm=lm, lm_weight=0.7, n_best=400, backend=backend).decode(log_probs)
        for one in found:
            assert one.lm_log_prob == pytest.approx(lm.score(one.text))
            assert one.score == pytest.approx(one.log_prob + 0.7 * lm.score(one.text), rel=1e-6)
        scores = [one.score for one in found]
        assert scores == sorted(scores, reverse=True)


def test_what_must_not_end_so_comes_last(backend):
    lm = NGram.train(["ab", "ab"], 2, smoothing="add-k", k=0.0, sentences=True)
    found = BeamSearch(Alphabet("ab"), lm=lm, n_best=9, backend=backend).decode(probs=[[0.6, 0.3, 0.1]] * 2)
    assert [one.text for one in found] == ["ab", "a", ""][: len(found)]
    assert found[0].score == pytest.approx(np.log(0.18))


def test_rescoring_orders_by_the_true_probability():
    rng = np.random.default_rng(2)
    for lm in (None, MODEL, SENTENCES):
        for _ in range(10):
            log_probs = peaky(rng, 50, 10) / 3
            log_probs -= np.log(np.exp(log_probs).sum(axis=1, keepdims=True))
            plain = BeamSearch(ALPHABET, 30, lm=lm, n_best=30).decode(log_probs)
            best = BeamSearch(ALPHABET, 30, lm=lm, n_best=5, rescore=True).decode(log_probs)
            keys = sorted((h.log_prob + 0.5 * (h.lm_log_prob or 0.0) for h in plain), reverse=True)
            assert [h.log_prob + 0.5 * (h.lm_log_prob or 0.0) for h in best] == keys[:5]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lm_weight": 0.0}, "lm_weight must be"),
        ({"lm_weight": float("inf")}, "lm_weight must be"),
        ({"word_bonus": float("inf")}, "word_bonus must be"),
        ({"unknown_log_prob": 0.5}, "unknown_log_prob must be"),
        ({"lm": MODEL, "hot_words": {"cab": 1.0}}, "goes without lexicon and hot words"),
        ({"lexicon": Lexicon.from_words(["a"], Alphabet("ab"))}, "same alphabet"),
        ({"hot_words": {"cab": 1e4}}, "hot_words must add at most"),
        ({"hot_words": {"": 1.0}}, "must not be empty"),
        ({"hot_words": {"x": 1.0}}, "alphabet's characters"),
        ({"hot_words": {"a": 1.0}, "rescore": True}, "rescore goes without"),
        ({"character_bonus": float("nan")}, "character_bonus must be"),
        ({"rescore": True, "exact": False}, "rescore needs"),
        ({"character_lm": MODEL}, "character_lm must be"),
        ({"character_lm_weight": 0.0}, "character_lm_weight must be"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        BeamSearch(ALPHABET, **options)


def pieces(rng, log_probs):
    stops = sorted(rng.integers(0, len(log_probs) + 1, size=rng.integers(0, 6)))
    return np.split(log_probs, stops)


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("number", range(len(MODELS) + 1))
def test_pieces_give_what_the_whole_gives(number, exact, backend):
    rng = np.random.default_rng(number)
    options = {"exact": exact, "backend": backend}
    decoder = decoder_of(number, 3, options)
    for n_frames in (0, 1, 5, 60):
        log_probs = peaky(rng, n_frames, 10)
        stream = decoder.stream()
        for piece in pieces(rng, log_probs):
            stream.push(piece)
        expected, found = decoder.decode(log_probs), stream.finish()
        assert [h.text for h in found] == [h.text for h in expected]
        for a, b in zip(found, expected, strict=True):
            assert a.score == pytest.approx(b.score, rel=1e-9)
            assert (a.labels, a.words, a.timesteps, a.lm_log_prob) == (b.labels, b.words, b.timesteps, b.lm_log_prob)
            np.testing.assert_equal((a.log_prob, a.confidence), (b.log_prob, b.confidence))


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("number", range(len(MODELS) + 1))
def test_committed_texts_and_the_rest_are_the_whole(number, exact, backend):
    rng = np.random.default_rng(10 + number)
    options = {"exact": exact, "backend": backend}
    decoder = decoder_of(number, 1, options)
    log_probs = peaky(rng, 150, 10)
    log_probs[rng.random(150) < 0.4] = np.log([*[1e-5] * 9, 1 - 9e-5])  # blanks
    log_probs[70:80] = log_probs[70]  # a class that goes on
    [whole] = decoder.decode(log_probs)
    for _ in range(5):
        stream, texts, labels, steps, frames = decoder.stream(), [], (), (), []
        for piece in pieces(rng, log_probs):
            stream.push(piece)
            assert stream.best.startswith(stream.stable)
            assert whole.text.startswith("".join(texts) + stream.stable)
            part = stream.commit()
            texts.append(part.text)
            labels += part.labels
            steps += part.timesteps
            frames += [word.first for word in part.words]
        assert stream.n_frames == 150
        [rest] = stream.finish()
        assert "".join(texts) + rest.text == whole.text
        assert labels + rest.labels == whole.labels
        assert rest.score == pytest.approx(whole.score, rel=1e-9)
        if exact:
            assert part.log_prob <= 0
            assert steps + rest.timesteps == whole.timesteps
            frames += [word.first for word in rest.words]
            assert frames == sorted(frames)
            assert len(set(steps)) == len(steps)


@pytest.mark.parametrize("seed", range(60))
def test_commits_change_nothing(seed):
    """Branches that can no longer win are cut off, yet the rest is found as if nothing had been committed."""
    rng = np.random.default_rng(seed)
    alphabet = Alphabet("abcd")
    lines = ["".join(rng.choice(list("abcd"), 20)) for _ in range(3)]
    lm = NGram.train(lines, int(rng.integers(1, 4)), sentences=bool(seed % 2), vocabulary="abcd")
    beam_width, n_frames = int(rng.integers(1, 12)), int(rng.integers(5, 60))
    model = BeamSearch(alphabet, lm=lm if seed % 3 else None)._character_model
    probs = np.exp(peaky(rng, n_frames, 5) / rng.choice([1, 2, 4]))
    if seed % 4 == 0:
        probs = np.round(probs * 4) / 4 + 1 / 64  # ties
    probs /= probs.sum(axis=1, keepdims=True)
    reference, compiled = (backends.load(b, "stream").StreamBeams(5, 4, model) for b in ("reference", "compiled"))
    [(labels, score), *_] = backends.load("compiled", "beam_search").beam_search(probs, 4, beam_width, 1, model)
    committed = ()
    t = 0
    while t < n_frames:
        n, limit = int(rng.integers(1, 8)), int(rng.choice([10**9, 3, 1]))
        for beams in (reference, compiled):
            beams.extend(probs[t : t + n], beam_width)
        stable = reference.stable(limit)
        assert compiled.stable(limit) == stable
        for beams in (reference, compiled):
            beams.commit(len(stable))
        committed += stable
        assert [text for text, _ in compiled.best(99)] == [text for text, _ in reference.best(99)]
        t += n
    assert committed + compiled.best(1)[0][0] == labels
    assert compiled.best(1)[0][1] == pytest.approx(score, rel=1e-9)


def test_an_old_doubt_does_not_hold_a_stream_up():
    """A label that is as good as another is remembered by the beam for ever, but the text goes on."""
    doubt, blank, sure = [0.51, 0.49, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0], [0.0, 0.0, 1.0, 0.0]
    decoder = BeamSearch(Alphabet("abc"), 4)
    stream = decoder.stream()
    stream.push(probs=[doubt])
    assert stream.stable == ""
    stream.push(probs=[blank])
    assert stream.stable == ""  # another a would tell the two apart
    stream.push(probs=[sure, blank])
    assert stream.stable == "ac"
    text = ""
    for _ in range(50):
        stream.push(probs=[sure, blank])
        text += stream.commit().text
    assert text + stream.finish()[0].text == "a" + "c" * 51


@pytest.mark.parametrize("beam_width", [1, 4, 25])
def test_frames_are_not_kept_for_silence(beam_width):
    """Also where a few other texts stay in the beam, so that the first label may still change."""
    stream = BeamSearch(ALPHABET, beam_width).stream()
    blank = np.log([[*[1e-6] * 9, 1 - 9e-6]] * 50)
    sure = np.log([[1 - 9e-6, *[1e-6] * 9]])
    stream.push(sure)
    text, timesteps, words = "", (), ()
    for _ in range(40):
        stream.push(blank)
        part = stream.commit()
        text, timesteps, words = text + part.text, timesteps + part.timesteps, words + part.words
        assert sum(map(len, stream._kept)) <= 400
    stream.push(sure)
    stream.push(blank)
    [rest] = stream.finish()
    assert text + rest.text == "aa"
    assert timesteps + rest.timesteps == (0, 2001)
    assert (words + rest.words)[-1].last == 2001


def test_what_a_stream_refuses():
    stream = BeamSearch(ALPHABET, 4).stream()
    frame = np.full((1, 10), 0.1)
    stream.push(probs=frame)
    with pytest.raises(ValueError, match="must all be probabilities"):
        stream.push(np.log(frame))
    with pytest.raises(ValueError, match="10 classes"):
        stream.push(probs=frame[:, :5])
    with pytest.raises(ValueError, match="NaN"):
        BeamSearch(ALPHABET, 4).stream().push(frame * np.nan)
    assert stream.n_frames == 1
    stream.finish()
    for use in (stream.finish, stream.commit, lambda: stream.push(probs=frame)):
        with pytest.raises(RuntimeError, match="has been finished"):
            use()


def test_the_memory_of_a_stream_does_not_grow():
    """Neither what Python allocates nor what the search does, between ten thousand and fifty thousand frames."""
    script = """if True:
        import resource, sys
        import numpy as np
        sys.path.insert(0, sys.argv[1])
        from conftest import peaky
        from fastctc import Alphabet, BeamSearch
        stream = BeamSearch(Alphabet("abcdefgh "), 10).stream()
        pieces = [peaky(np.random.default_rng(seed), 100, 10) for seed in range(20)]
        sizes = []
        for n in range(500):
            stream.push(pieces[n % 20])
            stream.commit()
            if n in (99, 499):
                sizes.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
        print(sizes[1] - sizes[0])
    """
    done = subprocess.run(
        [sys.executable, "-c", script, str(Path(__file__).parent)], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 1024  # KiB


def test_beams_are_for_one_width_after_another():
    rng = np.random.default_rng(6)
    probs = np.exp(peaky(rng, 40, 10) / 2)
    reference, compiled = (backends.load(b, "stream").StreamBeams(10, 9) for b in ("reference", "compiled"))
    for start, beam_width in ((0, 5), (5, 40), (10, 3), (15, 1), (20, 33), (25, 8), (39, 200)):
        for beams in (reference, compiled):
            beams.extend(probs[start : start + 5], beam_width)
        assert [labels for labels, _ in compiled.best(300)] == [labels for labels, _ in reference.best(300)]
        assert compiled.stable(10**9) == reference.stable(10**9)
        for beams in (reference, compiled):
            with pytest.raises(ValueError, match="n_labels must be"):
                beams.commit(len(beams.best(1)[0][0]) + 1)
            beams.commit(len(beams.stable(start // 3)))
    assert compiled.best(1)[0][1] == pytest.approx(reference.best(1)[0][1], rel=1e-12)


def test_what_beams_refuse():
    from fastctc.compiled.beam_search import Beams

    tokens = np.zeros(3, np.int32)
    model = CharacterModel(MODEL.tables, 0, tokens, [0.0] * 3, 1.0, 0.0, -1)
    Beams(3, 2, model)
    for change in (
        {"start": -1},
        {"start": 10**6},
        {"tokens": tokens[:2]},
        {"ceilings": [0.0] * 2},
        {"weight": 0.0},
        {"weight": float("nan")},
        {"bonus": float("inf")},
        {"tables": MODEL.tables._replace(words=MODEL.tables.words[:3])},
        {"end": -2},
        {"end": 10**6},
    ):
        with pytest.raises(ValueError, match="must"):
            Beams(3, 2, model._replace(**change))
    for wrong in ((7,), 7):
        with pytest.raises(AttributeError):
            Beams(3, 2, wrong)
    with pytest.raises(ValueError, match="must have 3 classes"):
        Beams(3, 2).extend(np.ones((2, 4)), 3)
    with pytest.raises(ValueError, match="beam_width must be"):
        Beams(3, 2).extend(np.ones((2, 3)), 0)


def test_the_real_line_with_a_model(real, shared):
    log_probs, alphabet = real["iam_line"]
    text = (shared / "text" / "english_corpus.txt").read_text(encoding="utf-8")
    lm = NGram.train(text, 5, vocabulary=alphabet.characters)
    plain, weighed = BeamSearch(alphabet), BeamSearch(alphabet, lm=lm, lm_weight=0.3, character_bonus=0.3)
    assert plain.decode(log_probs)[0].text == "the fak friend of the fomcly hae tC"
    assert weighed.decode(log_probs)[0].text == "the fake friend of the family hase te"
    stream = weighed.stream()
    for frame in log_probs:
        stream.push(frame[None])
    assert stream.finish() == weighed.decode(log_probs)


def test_beams_are_for_one_thread_at_a_time():
    from threading import Thread

    from fastctc.compiled.beam_search import Beams

    beams, probs = Beams(28, 27), np.exp(peaky(np.random.default_rng(0), 4000, 28) / 8)
    worker = Thread(target=beams.extend, args=(probs / probs.sum(axis=1, keepdims=True), 400))
    refused = 0
    worker.start()
    while worker.is_alive():
        try:
            beams.best(1)
        except RuntimeError as error:
            assert "one thread at a time" in str(error)  # noqa: PT017
            refused += 1
    worker.join()
    assert refused
    assert beams.best(1)[0][0]


def test_what_is_refused_leaves_beams_as_they_were():
    from fastctc.compiled.stream import StreamBeams

    beams = StreamBeams(3, 2)
    beams.extend(np.array([[0.6, 0.3, 0.1]]), 3)
    expected = beams.best(3)
    for beam_width in (0, -1, 1 << 30):
        with pytest.raises(ValueError, match="beam_width must be"):
            beams.extend(np.ones((2, 3)), beam_width)
    with pytest.raises(TypeError):
        beams.best(None)
    with pytest.raises(ValueError, match="n_labels must be"):
        beams.commit(7)
    assert beams.best(3) == expected
    beams.extend(np.array([[0.0, 0.0, 1.0]]), 3)


def test_ctrl_c_in_a_stream_breaks_it_for_good():
    """A frame may be half done then: whoever goes on is told so."""
    script = """if True:
        import numpy as np, os, signal, threading
        from fastctc.compiled.beam_search import Beams
        signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever started the tests may ignore it
        beams = Beams(28, 27)
        probs = np.random.default_rng(0).random((100_000, 28))
        for _ in range(20):  # until the signal meets the search, and not what is before it
            try:
                threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
                beams.extend(probs, 1000)
            except KeyboardInterrupt:
                try:
                    beams.best(1)
                except RuntimeError as error:
                    print(error)
                    break
    """
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.stdout == "beams must not be used any more after an error\n"
