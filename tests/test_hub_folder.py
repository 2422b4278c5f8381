"""Decoders from folders as the Hugging Face hub has them."""

import json

import numpy as np
import pytest

from fastctc import BeamSearch, NGram
from fastctc.compat.pyctcdecode import build_ctcdecoder
from fastctc.lm.kenlm import KenLM

LABELS = ["<pad>", "<s>", "</s>", "<unk>", "|", *"abcdefgi"]
WORDS = ["a", "bad", "big", "bag", "bed", "cab", "dig", "feed"]


@pytest.fixture(params=[".arpa", ".bin"])
def folder(tmp_path, request):
    model = NGram.train("a bad cab\na big bag\ndig a big bed\na bad bed\nfeed a cab", 3, unit="word")
    model.to_arpa(tmp_path / "words.arpa")
    build_ctcdecoder(LABELS, str(tmp_path / "words.arpa"), WORDS, alpha=0.7, beta=0.4).save_to_dir(str(tmp_path))
    if request.param == ".bin":
        (tmp_path / "language_model" / "words.arpa").unlink()
        KenLM.from_arpa(tmp_path / "words.arpa").save(tmp_path / "language_model" / "words.bin")
    return tmp_path


def spoken(text):
    logits = np.random.default_rng(0).normal(size=(2 * len(text), len(LABELS)))
    ways = [way for c in text.replace(" ", "|") for way in (LABELS.index(c), 0)]
    logits[np.arange(len(ways)), ways] += 9.0
    logits[:, 1] += 3.0
    return logits


def test_a_folder_with_a_model(folder):
    decoder = BeamSearch.from_hub_folder(folder)
    assert (decoder.lm_weight, decoder.word_bonus, decoder.alphabet.blank) == (0.7, 0.4, 0)
    assert decoder.unknown_log_prob < -20
    assert decoder.lexicon.all_words() == sorted(WORDS)
    found = decoder.decode(logits=spoken("dig a cab"))[0]
    assert found.text == "dig a cab"
    assert found.lm_log_prob < 0
    assert decoder.decode(logits=spoken("dig abc"))[0].text != ""
    assert BeamSearch.from_hub_folder(str(folder), lm_weight=2.0, beam_width=7).lm_weight == 2.0


def test_a_folder_of_a_vocabulary(tmp_path):
    (tmp_path / "vocab.json").write_text(json.dumps({label: number for number, label in enumerate(LABELS)}))
    assert BeamSearch.from_hub_folder(tmp_path).decode(logits=spoken("dig"))[0].text == "dig"


def test_pieces(tmp_path):
    labels = ["\u2581a", "b", "\u2581\u2047\u2581", ""]
    (tmp_path / "alphabet.json").write_text(json.dumps({"labels": labels, "is_bpe": True}))
    decoder = BeamSearch.from_hub_folder(tmp_path)
    assert decoder.alphabet.special == {"\u2581\u2047\u2581"}
    assert decoder.decode(logits=np.eye(4)[[0, 1, 3, 0]] * 9)[0].text == "ab a"


def test_bad_folders(folder, tmp_path_factory):
    def refuse(match, path=folder):
        with pytest.raises(ValueError, match=match):
            BeamSearch.from_hub_folder(path)

    refuse("must be a folder", folder / "missing")
    refuse(r"must hold alphabet\.json, vocab\.json or tokenizer\.json", tmp_path_factory.mktemp("empty"))
    attributes = folder / "language_model" / "attrs.json"
    for content, message in (
        ("[]", "must be an object"),
        ("{", "not JSON"),
        ('{"alpha": "x"}', "alpha must be a number"),
    ):
        attributes.write_text(content)
        refuse(message)
    attributes.unlink()
    assert BeamSearch.from_hub_folder(folder).lm_weight == 0.5
    (folder / "language_model" / "more.arpa").touch()
    refuse("must hold one model")
    for content in ('{"labels": ["a"]}', '{"labels": [1, ""]}', "{}"):
        (folder / "alphabet.json").write_text(content)
        refuse("must have labels, a list of strings, of which one is empty")
