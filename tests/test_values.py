"""Decoders and what they are made of are values: hashed, compared, pickled, and nobody else's dict changes them."""

import copy
import pickle
import sys
from threading import Thread

import pytest
from conftest import peaky
from numpy.random import default_rng

from fastctc import (
    Alphabet,
    BeamSearch,
    BestPath,
    Lexicon,
    LexiconSearch,
    NGram,
    PrefixSearch,
    TokenPassing,
    WordBeamSearch,
)

ALPHABET = Alphabet("abc ", word_characters="abc")
LEXICON = Lexicon.from_words(["a", "ab", "abc", "bca", "cab"], ALPHABET)
WORDS = NGram.train(["a cab", "abc bca", "ab a"], 2, unit="word")
CHARACTERS = NGram.train(["a cab abc bca ab a"], 3)
HOT = {"cab": 2.0, "ab a": 1.0}
DECODERS = {
    "best path": BestPath(ALPHABET),
    "beam": BeamSearch(ALPHABET, 5),
    "beam, characters": BeamSearch(ALPHABET, 5, lm=CHARACTERS),
    "beam, words": BeamSearch(ALPHABET, 5, lm=WORDS, lexicon=LEXICON, character_lm=CHARACTERS, hot_words=HOT),
    "beam, hot words alone": BeamSearch(ALPHABET, 5, hot_words=HOT),
    "words": WordBeamSearch(LEXICON, 5, lm=WORDS, hot_words=HOT),
    "token passing": TokenPassing(LEXICON, lm=WORDS),
    "lexicon": LexiconSearch(LEXICON),
    "prefix": PrefixSearch(ALPHABET),
}
FRAMES = peaky(default_rng(3), 12, 5)
every_decoder = pytest.mark.parametrize("name", DECODERS)


@every_decoder
def test_a_pickle_holds_the_fields_only(name):
    """Whatever a decoder has computed and keeps at hand, its pickle is as large as before."""
    decoder = pickle.loads(pickle.dumps(DECODERS[name]))
    before = len(pickle.dumps(decoder))
    found = decoder.decode(FRAMES)
    assert len(pickle.dumps(decoder)) == before
    for other in (pickle.loads(pickle.dumps(decoder)), copy.copy(decoder), copy.deepcopy(decoder)):
        assert other.decode(FRAMES) == found
        assert other.hot_words == decoder.hot_words if hasattr(decoder, "hot_words") else True


@every_decoder
def test_decoders_are_keys(name):
    decoder = DECODERS[name]
    assert {decoder: name}[copy.copy(decoder)] == name


@pytest.mark.parametrize("name", ["beam", "words"])
def test_hot_words_are_the_decoder_s_own(name):
    hot = {"cab": 2.0, "ab": 1.0}
    decoder = BeamSearch(ALPHABET, hot_words=hot) if name == "beam" else WordBeamSearch(LEXICON, hot_words=hot)
    expected = decoder.decode(FRAMES)
    hot["bca"] = 50.0
    del hot["cab"]
    assert decoder.decode(FRAMES) == expected
    assert decoder.hot_words == (("ab", 1.0), ("cab", 2.0))
    again = BeamSearch(ALPHABET, hot_words=decoder.hot_words)
    assert again.hot_words == decoder.hot_words
    assert BeamSearch(ALPHABET, hot_words={}) == BeamSearch(ALPHABET)


def test_what_models_keep_at_hand_stays_at_home():
    """Numbers that were looked up, tables and sums: of the model, its vocabulary and its alphabet."""
    model = NGram.train(["the cat sat on the mat"], 2, unit="word")
    before = len(pickle.dumps(model))
    assert model.vocabulary.number("cat") >= 0 > model.vocabulary.number("dog")
    assert model.tables
    assert model.sums
    assert len(model.ceilings)
    assert model.forecast(["the"], 0, 3) > 0
    assert len(pickle.dumps(model)) == before
    assert pickle.loads(pickle.dumps(model)).vocabulary.number("cat") == model.vocabulary.number("cat")
    alphabet = pickle.loads(pickle.dumps(ALPHABET))
    before = len(pickle.dumps(alphabet))
    assert alphabet.decode(alphabet.encode("cab")) == "cab"
    assert len(pickle.dumps(alphabet)) == before


def test_threads_may_share_a_vocabulary(monkeypatch):
    """Also where its memory of answers is cleared all the time."""
    vocabulary = NGram.train([" ".join(map(str, range(200)))], 1, unit="word").vocabulary
    monkeypatch.setattr(sys.modules[type(vocabulary).__module__], "REMEMBERED", 3)
    expected = [vocabulary.number(str(n)) for n in range(250)]
    wrong = []

    def ask():
        for _ in range(20):
            if [vocabulary.number(str(n)) for n in range(250)] != expected:
                wrong.append(1)

    threads = [Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
