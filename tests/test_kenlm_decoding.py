"""Beam search with KenLM's files: words are weighed when they have ended."""

import gc
import pickle
import weakref
from math import inf, log

import numpy as np
import pytest
from conftest import DATA, logs, peaky

from fastctc import Alphabet, BeamSearch, Lexicon, NGram, WordBeamSearch
from fastctc.compiled import lexicon_model as compiled
from fastctc.lm.kenlm import KenLM
from fastctc.loss import log_probability
from fastctc.reference import lexicon_model as reference

FILES = DATA / "kenlm"
ALPHABET = Alphabet("acdeghmnostw ", word_characters="acdeghmnostw")
WEIGHTS = {"lm_weight": 0.7, "word_bonus": 0.4}


def frames(text, seed=1, temperature=1.0):
    """What a network that is not sure says of a text."""
    rng = np.random.default_rng(seed)
    rows = peaky(rng, 2 * len(text), ALPHABET.n_classes) / temperature
    for i, c in enumerate(text):
        rows[2 * i, ALPHABET.characters.index(c)] += 3.0
        rows[2 * i + 1, ALPHABET.blank] += 3.0
    return rows - np.logaddexp.reduce(rows, axis=1, keepdims=True)


def share_of(lm, text, unknown=None):
    """The model's share of a score, by its own account."""
    state, total = lm.state(), 0.0
    for word in text.split():
        known = word in lm.vocabulary
        log_prob, state = lm.advance(state, word if known else "zebra")
        total += log_prob if known else unknown
    return total


@pytest.mark.parametrize("name", ["probing.bin", "trie.bin", "quantised_array.bin"])
@pytest.mark.parametrize("backend", ["reference", "compiled"])
@pytest.mark.parametrize("unknown", [None, -8.0])
def test_scores_are_what_they_are_made_of(name, backend, unknown):
    lm = KenLM.load(FILES / name)
    decoder = BeamSearch(ALPHABET, 40, lm=lm, unknown_log_prob=unknown, n_best=10, backend=backend, **WEIGHTS)
    n = 0
    for seed, text in enumerate(("the cat", "a dog sat")):
        rows = frames(text, seed)
        for found in decoder.decode(rows):
            expected = share_of(lm, found.text, unknown)
            assert found.lm_log_prob == pytest.approx(expected, abs=1e-5)
            rest = 0.7 * expected + 0.4 * len(found.text.split())
            assert found.score <= log_probability(rows, found.text, ALPHABET) + rest + 1e-5
            n += 1
            if unknown is None:
                assert all(word in lm for word in found.text.split())
    assert n > 2


def test_nothing_is_lost_where_all_prefixes_survive():
    """Short input, and room for every prefix: the scores are those of the texts, as with an NGram of the same model."""
    lm, listed = KenLM.load(FILES / "trie.bin"), KenLM.load(FILES / "trie.bin").to_ngram()
    alphabet = Alphabet("act ", word_characters="act")
    lexicon = Lexicon.from_words(["a", "cat", "at", "ta"], alphabet)
    for seed in range(20):
        rows = logs(np.random.default_rng(seed).dirichlet([0.3] * 5, size=6))
        for unknown in (None, -3.0):
            results = []
            for model in (lm, listed):
                decoder = BeamSearch(
                    alphabet,
                    6000,
                    lm=model,
                    lexicon=lexicon,
                    unknown_log_prob=unknown,
                    n_best=6000,
                    exact=False,
                    **WEIGHTS,
                )
                results.append({one.text: (one.score, one.lm_log_prob) for one in decoder.decode(rows)})
            first, second = results
            assert first.keys() == second.keys()
            for text, (score, lm_log_prob) in first.items():
                assert lm_log_prob == pytest.approx(second[text][1], abs=1e-5)
                whole = unknown is not None or all(word in lexicon for word in text.split())  # otherwise it must go on
                if whole and score > -inf:
                    assert score == pytest.approx(second[text][0], abs=1e-5)


@pytest.mark.parametrize("name", ["probing.bin", "quantised.bin"])
def test_the_twins_find_the_same(name):
    lm = KenLM.load(FILES / name)
    for seed in range(4):
        rows = frames("the mat was on a dog", seed, temperature=1.0 + seed)
        for unknown, hot in ((None, None), (-6.0, None), (-6.0, {"man": 3.0, "the moon": 2.0})):
            first, second = (
                BeamSearch(
                    ALPHABET, 8, lm=lm, unknown_log_prob=unknown, hot_words=hot, n_best=4, backend=backend, **WEIGHTS
                ).decode(rows)
                for backend in ("reference", "compiled")
            )
            assert [one.text for one in first] == [one.text for one in second]
            assert [one.score for one in first] == pytest.approx([one.score for one in second], rel=1e-9)


def test_the_twins_walk_alike():
    lm = KenLM.load(FILES / "rest.bin")
    words = BeamSearch(ALPHABET, lm=lm, unknown_log_prob=-4.0, **WEIGHTS)._lexicon_model
    state = reference.start_state(words)
    assert compiled.start_state(words) == state
    for c in "the cat saw a dog xx the ".replace("x", "m"):
        label = ALPHABET.characters.index(c)
        expected, found = (module.next_state(words, state, label) for module in (reference, compiled))
        assert found[:2] == expected[:2]
        assert found[2:] == pytest.approx(expected[2:], rel=1e-12)
        assert compiled.final_weight(words, state) == pytest.approx(reference.final_weight(words, state), rel=1e-12)
        state = expected


def test_batches_threads_and_streams():
    lm = KenLM.load(FILES / "probing.bin")
    decoder = BeamSearch(ALPHABET, 10, lm=lm, unknown_log_prob=-8.0, **WEIGHTS)
    batch = [frames(text, seed) for seed, text in enumerate(["the cat sat", "a dog", "", "on the mat"] * 4)]
    alone = [decoder.decode(rows)[0] for rows in batch]
    together = decoder.decode_batch(batch, threads=3)
    assert [found[0].text for found in together] == [one.text for one in alone]
    stream = decoder.stream()
    for row in batch[0]:
        stream.push(row[None])
    assert stream.finish()[0].text == alone[0].text
    again = pickle.loads(pickle.dumps(decoder))
    assert again.decode(batch[0])[0].score == alone[0].score


def test_decoders_share_what_is_made_of_a_model():
    lm = NGram.from_arpa(FILES / "tiny.arpa")
    first, second = (BeamSearch(alphabet, width, lm=lm) for alphabet, width in ((ALPHABET, 5), (again(ALPHABET), 9)))
    assert first._tracker.lexicon is second._tracker.lexicon
    assert first._tracker.model is second._tracker.model
    hot = BeamSearch(ALPHABET, lm=lm, hot_words={"gem": 1.0})
    assert "gem" in hot._tracker.lexicon
    assert "gem" not in first._tracker.lexicon
    alive = weakref.ref(first._tracker.lexicon), weakref.ref(first._tracker.model)
    del first, second, hot
    gc.collect()
    assert all(thing() is not None for thing in alive)
    del lm
    gc.collect()
    assert all(thing() is None for thing in alive)


def again(alphabet):
    return Alphabet(alphabet.characters, word_characters=alphabet.word_characters)


def test_what_is_refused():
    lexicon = Lexicon.from_words(["cat"], ALPHABET)
    with pytest.raises(ValueError, match="lm must be an NGram"):
        WordBeamSearch(lexicon, lm=KenLM.load(FILES / "probing.bin"))
    no_words = KenLM.load(FILES / "no_words.bin")
    with pytest.raises(ValueError, match="give a lexicon"):
        BeamSearch(ALPHABET, lm=no_words).decode(frames("cat"))
    found = BeamSearch(ALPHABET, lm=no_words, lexicon=lexicon).decode(frames("cat"))[0]
    assert found.text.strip() == "cat"
    assert found.lm_log_prob == pytest.approx(log(10) * no_words.scorer.score("cat", True, False), abs=1e-6)
    tables = no_words.tables
    data = tables.data.copy()
    data[tables.unigrams : tables.levels[0].place] = 0xFF
    damaged = KenLM(tables._replace(data=data), "hash tables", 0)
    for backend in ("reference", "compiled"):
        with pytest.raises(ValueError, match="damaged"):
            BeamSearch(ALPHABET, lm=damaged, lexicon=lexicon, backend=backend).decode(frames("cat"))
    model = BeamSearch(ALPHABET, lm=no_words, lexicon=lexicon)._lexicon_model
    with pytest.raises(ValueError, match="sums over words"):
        compiled.start_state(model._replace(fusion=None))
