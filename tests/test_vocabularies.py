"""Vocabularies as networks come with them."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest

from fastctc import Alphabet, BeamSearch, BestPath, Lexicon, NGram, PrefixSearch, WordBeamSearch

LETTERS = ["<pad>", "<s>", "</s>", "<unk>", "|", "a", "b"]
PIECES = ["<unk>", "<s>", "</s>", "\u2581", "\u2581the", "s", "\u2581c", "at"]
WORDPIECES = ["[PAD]", "[UNK]", "[CLS]", "the", "##s", "cat"]


def write(folder, kind, tokens):
    numbered = {token: number for number, token in enumerate(tokens)}
    files = {
        "vocab.json": json.dumps(numbered),
        "tokenizer.json": json.dumps({"model": {"type": "BPE", "vocab": numbered}, "added_tokens": []}),
        "unigram.json": json.dumps({"model": {"type": "Unigram", "vocab": [[token, -1.0] for token in tokens]}}),
        "pieces.vocab": "".join(f"{token}\t{-number}\n" for token, number in numbered.items()),
        "tokens.txt": "".join(f"{token} {number}\n" for token, number in numbered.items()),
    }
    path = folder / kind
    path.write_text(files[kind], encoding="utf-8")
    return path


KINDS = ["vocab.json", "tokenizer.json", "unigram.json", "pieces.vocab", "tokens.txt"]


@pytest.mark.parametrize("kind", KINDS)
def test_letters(kind, tmp_path):
    path = write(tmp_path, kind, LETTERS)
    for alphabet in (Alphabet.from_vocabulary(path), Alphabet.load(path), Alphabet.load(path, "<pad>")):
        assert (alphabet.n_classes, alphabet.blank, alphabet.word_begin) == (7, 0, None)
        assert alphabet.special == {"<s>", "</s>", "<unk>"}
        assert alphabet.decode([5, 4, 6]) == "a b"
        assert alphabet.encode("a b") == (5, 4, 6)
        assert alphabet.words((5, 4, 6)) == [(0, 1), (2, 3)]


@pytest.mark.parametrize("kind", KINDS)
def test_pieces_whose_blank_is_not_listed(kind, tmp_path):
    alphabet = Alphabet.load(write(tmp_path, kind, PIECES))
    assert (alphabet.n_classes, alphabet.blank, alphabet.word_begin) == (9, 8, "\u2581")
    assert alphabet.decode([4, 5, 6, 7]) == "thes cat"
    assert alphabet.special == {"<unk>", "<s>", "</s>"}


def test_pieces_that_go_on():
    alphabet = Alphabet.from_vocabulary(WORDPIECES)
    assert alphabet.blank == 0
    assert alphabet.decode([3, 4, 5]) == "thes cat"
    assert alphabet.special == {"[UNK]", "[CLS]"}


@pytest.mark.parametrize(
    ("tokens", "options", "blank", "text"),
    [
        (["a", "b"], {}, 2, "ab"),
        (["<blk>", "a", "b"], {}, 0, "ab"),
        (["a", "", "b"], {}, 1, "ab"),
        (["x", "a", "b"], {"blank": "x"}, 0, "ab"),
        (["x", "a", "b"], {"blank": -2}, 1, "xb"),
        (["<space>", "a", "<eps>"], {}, 2, " a"),
        (["_", "a", "<pad>"], {"delimiter": "_"}, 2, " a"),
        (["\u2581", "a", "<blank>"], {}, 2, " a"),
        (["\u0120a", "b", "<pad>"], {"delimiter": "\u0120"}, 2, "ab"),
    ],
)
def test_blanks_and_delimiters(tokens, options, blank, text):
    alphabet = Alphabet.from_vocabulary(tokens, **options)
    assert alphabet.blank == blank
    assert alphabet.decode([label for label in range(alphabet.n_classes) if label != blank]) == text


def test_what_is_special_can_be_said(tmp_path):
    assert Alphabet.from_vocabulary(["<pad>", "<a>", "b"], special=[]).special == set()
    assert Alphabet.from_vocabulary(["<pad>", "<a>", "b"], special=["b"]).special == {"b"}
    added = [{"id": 2, "content": "mask", "special": True}, {"id": 3, "content": "plain", "special": False}]
    (tmp_path / "tokenizer.json").write_text(
        json.dumps({"model": {"vocab": {"<pad>": 0, "a": 1}}, "added_tokens": added})
    )
    alphabet = Alphabet.load(tmp_path / "tokenizer.json")
    assert alphabet.special == {"mask"}
    assert alphabet.decode([1, 3]) == "aplain"


@pytest.mark.parametrize("decoder", [BestPath, BeamSearch, PrefixSearch])
def test_no_decoder_puts_special_tokens_out(decoder):
    rng = np.random.default_rng(0)
    alphabet = Alphabet.from_vocabulary(LETTERS)
    logits = rng.normal(size=(12, 7))
    logits[:, 1:4] += 3.0  # the likeliest classes of all
    kept = [0, 4, 5, 6]
    plain = decoder(Alphabet(" ab", blank=0)).decode(logits=logits[:, kept])[0]
    probs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    one = decoder(alphabet)
    batch = one.decode_batch(logits=[logits, logits])
    for found in (one.decode(logits=logits), one.decode(probs=probs), one.decode(np.log(probs)), batch[0], batch[1]):
        assert found[0].text == plain.text
        assert found[0].log_prob == pytest.approx(plain.log_prob)
        assert found[0].labels == tuple(kept[label] for label in plain.labels)


def test_special_tokens_in_streams_and_scores():
    rng = np.random.default_rng(1)
    alphabet = Alphabet.from_vocabulary(LETTERS)
    scores = rng.normal(size=(9, 7))
    scores[:, 2] += 5.0
    decoder = BeamSearch(alphabet)
    stream = decoder.stream()
    stream.push(logits=scores)
    assert stream.finish()[0].text == decoder.decode(logits=scores)[0].text
    kept = [0, 4, 5, 6]
    expected = BeamSearch(Alphabet(" ab", blank=0)).decode(scores=scores[:, kept])[0]
    assert decoder.decode(scores=scores)[0].score == pytest.approx(expected.score)


def test_a_frame_of_special_tokens_alone_is_blank():
    alphabet = Alphabet.from_vocabulary(["<pad>", "<s>", "a"])
    assert BestPath(alphabet).decode(probs=[[0.0, 1.0, 0.0], [0.0, 0.2, 0.8]])[0].text == "a"


def test_bad_vocabularies(tmp_path):
    with pytest.raises(
        ValueError, match=re.escape("blank must be in the vocabulary, got '<blank>'; its special tokens")
    ):
        Alphabet.from_vocabulary(LETTERS, blank="<blank>")
    with pytest.raises(ValueError, match="blank must be a class, -7 to 7, or a token, got 8"):
        Alphabet.from_vocabulary(LETTERS, blank=8)
    with pytest.raises(ValueError, match="delimiter must occur in the vocabulary, got '~'"):
        Alphabet.from_vocabulary(LETTERS, delimiter="~")
    with pytest.raises(ValueError, match="must number its tokens 0 to 1, got 0 with 1"):
        Alphabet.from_vocabulary({"a": 0, "b": 2})
    with pytest.raises(ValueError, match="tokens must be strings, got 1 with number 0"):
        Alphabet.from_vocabulary([1, 2])
    with pytest.raises(TypeError, match=r"Alphabet\.from_vocabulary takes tokens"):
        Alphabet("ab", blank="<pad>")
    with pytest.raises(ValueError, match=r"special must be characters of the alphabet, got also \['c'\]"):
        Alphabet("ab", special=["c"])
    for content in ("[", '{"model": {}}', '{"model": 1}', '{"model": {"vocab": [1]}}', '{"<pad>": "x"}', "[[]]"):
        path = tmp_path / "vocab.json"
        path.write_text(content)
        with pytest.raises(ValueError, match=r"vocab\.json: must be a vocabulary"):
            Alphabet.from_vocabulary(path)


def test_a_model_in_another_case_is_named_as_the_reason():
    model = NGram.train("a bad cab\na big bag\nx", 2, unit="word")
    decoder = BeamSearch(Alphabet("ABCDGI "), lm=model)
    message = "of its 6 none can be: the alphabet is in upper case, and 5 words would fit if the model were too"
    with pytest.raises(ValueError, match=message):
        decoder.decode(probs=np.full((2, 8), 1 / 8))
    with pytest.raises(ValueError, match=r"but of its 6 none can be$"):
        BeamSearch(Alphabet("123"), lm=model).decode(probs=np.full((2, 4), 1 / 4))


@pytest.mark.parametrize("decoder", [BeamSearch, WordBeamSearch])
def test_hot_words_as_a_list(decoder):
    alphabet = Alphabet("ab ")
    first = alphabet if decoder is BeamSearch else Lexicon.from_words(["ab", "ba"], alphabet)
    expected = decoder(first, hot_words={"ab": 2.0, "ba": 3.0})
    assert decoder(first, hot_words=["ab", ("ba", 3.0)], hot_word_weight=2.0).hot_words == expected.hot_words
    assert decoder(first, hot_words=iter(["ab"])).hot_words == (("ab", 5.0),)
    probs = np.random.default_rng(0).dirichlet(np.ones(4), 6)
    one = decoder(first, hot_words=["ab"], hot_word_weight=3.0)
    assert one.decode(probs=probs) == decoder(first, hot_words={"ab": 3.0}).decode(probs=probs)
    other = replace(one, hot_words=["ba"])
    assert other.decode(probs=probs) == decoder(first, hot_words={"ba": 3.0}).decode(probs=probs)
    with pytest.raises(ValueError, match="hot_words must be a list of words, or words with what they add, got 'ab'"):
        decoder(first, hot_words="ab")


@pytest.mark.parametrize("kind", ["alone", "lexicon", "model", "both", "characters"])
def test_hot_words_that_change_from_call_to_call(kind):
    alphabet = Alphabet("abc ")
    lm = NGram.train("ab ba\na cab\nba ab c\n", 2, unit="word")
    options = {
        "alone": {},
        "lexicon": {"lexicon": Lexicon.from_words(["ab", "ba", "c"], alphabet)},
        "model": {"lm": lm, "unknown_log_prob": -9.0},
        "both": {"lm": lm, "lexicon": Lexicon.from_words(["ab", "ba", "c"], alphabet)},
        "characters": {"lm": lm, "character_lm": NGram.train("ab ba\n", 2)},
    }[kind]
    options["token_min_log_prob"] = -6.0
    decoder = BeamSearch(alphabet, hot_words=["ba"], hot_word_weight=2.0, **options)
    rng = np.random.default_rng(1)
    for words in ([], ["ab"], ["ab", "cab"], ["new ab", "c"][1:], [("a b", 3.0), "ba"], {"bb": 1.0}, ["ba"]):
        probs = rng.dirichlet(np.full(5, 0.3), 9)
        for weight in (None, 4.0):
            other = decoder.with_hot_words(words, weight)
            fresh = BeamSearch(alphabet, hot_words=words, hot_word_weight=weight or 2.0, **options)
            assert other == fresh
            assert other.decode(probs=probs) == fresh.decode(probs=probs)
    assert decoder == BeamSearch(alphabet, hot_words=["ba"], hot_word_weight=2.0, **options)
    if kind in ("lexicon", "model", "both"):
        decoder.decode(probs=probs)
        other = decoder.with_hot_words(["ab"])
        assert other._tracker.lexicon is decoder._tracker.lexicon
        assert other._tracker.model is decoder._tracker.model
    with pytest.raises(ValueError, match="hot_words must not be empty"):
        decoder.with_hot_words([""])
