"""Beam search over paths: the drop-in for flashlight-text beside the original, the same settings, lexicon and model."""

import math
import random
import tempfile
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from bench import workloads
from bench.compare import material, peers
from bench.compare.measure import Candidate, Row, measure
from fastctc import NGram
from fastctc.compat.flashlight import decoder, dictionary
from fastctc.compat.flashlight.decoder import kenlm

WIDTHS = (50, 500, 1500)
N_WORDS = 200_000
LETTERS = "abcdefghijklmnopqrstuvwxyz"
TOKENS = ["-", "|", *LETTERS, "'"]  # a character model for speech: blank, silence, letters
SILENCE, BLANK = 1, 0


def path_search(seconds: float, quick: bool, arpa: str | None = None) -> list[Row]:
    """``arpa``: a 3-gram of words, instead of one trained on the text that the words come from."""
    corpus = material.prose()[0].lower()
    known = [word for word in corpus.split() if set(word) <= set(LETTERS)]
    labels = [TOKENS.index(letter) - 1 for word in known[1000:1012] for letter in [*word, "|"]]
    blank_last = workloads.spelled(tuple(labels), 300, len(TOKENS))
    frames = np.ascontiguousarray(np.roll(blank_last, 1, axis=1), np.float32)
    words = lexicon(set(known), 20_000 if quick else N_WORDS)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        if arpa is None:
            arpa = str(Path(folder, "words.arpa"))
            NGram.train(corpus, 3, unit="word").to_arpa(arpa)
        libraries = [("fastctc", SimpleNamespace(decoder=decoder, dictionary=dictionary, KenLM=kenlm.KenLM))]
        if lib := peers.optional("flashlight.lib.text.decoder"):
            tables = peers.optional("flashlight.lib.text.dictionary")
            model = peers.optional("flashlight.lib.text.decoder.kenlm")
            libraries.append(("flashlight", SimpleNamespace(decoder=lib, dictionary=tables, KenLM=model.KenLM)))
        for what, spelt, path in (
            ("without a lexicon", None, None),
            (f"{len(words)} words", words, None),
            (f"{len(words)} words, 3-gram", words, arpa),
        ):
            parts = [(who, library, *_knowledge(library, spelt, path)) for who, library in libraries]
            for width, log_add in product(WIDTHS[:1] if quick else WIDTHS, (False, True)):
                candidates = [
                    Candidate(
                        who,
                        f"{width} paths, log_add={log_add}",
                        _run(_decoder(library, width, log_add, trie, lm, unknown), frames),
                        _found,
                    )
                    for who, library, trie, lm, unknown in parts
                ]
                work = f"300x29, {what}, beam size {width}{', paths added up' if log_add else ''}"
                rows += measure("path search", work, candidates, seconds)
    return rows


def lexicon(known: set[str], n_words: int) -> list[str]:
    """The words of a text, and made-up ones."""
    rng, words = random.Random(1), set(known)
    while len(words) < n_words:
        words.add("".join(rng.choices(LETTERS, range(1, 27), k=rng.randint(3, 10))))
    return sorted(words)


def _knowledge(library: Any, words: Sequence[str] | None, arpa: str | None) -> tuple[Any, Any, int]:
    """Trie, language model, and the number of the unknown word."""
    if words is None:
        return None, library.decoder.ZeroLM(), -1
    table = library.dictionary.create_word_dict({word: [[*word, "|"]] for word in [*words, "<unk>"]})
    lm = library.KenLM(arpa, table) if arpa else library.decoder.ZeroLM()
    trie, start = library.decoder.Trie(len(TOKENS), SILENCE), lm.start(False)
    for word in words:
        number = table.get_index(word)
        trie.insert([*map(TOKENS.index, word), SILENCE], number, lm.score(start, number)[1])
    trie.smear(library.decoder.SmearingMode.MAX)
    return trie, lm, table.get_index("<unk>")


def _decoder(library: Any, width: int, log_add: bool, trie: Any, lm: Any, unknown: int) -> Any:
    lib = library.decoder
    if trie is None:
        options = lib.LexiconFreeDecoderOptions(width, len(TOKENS), 50.0, 0.0, 0.0, log_add, lib.CriterionType.CTC)
        return lib.LexiconFreeDecoder(options, lm, SILENCE, BLANK, [])
    options = lib.LexiconDecoderOptions(
        width, len(TOKENS), 50.0, 2.0, 0.0, -math.inf, 0.0, log_add, lib.CriterionType.CTC
    )
    return lib.LexiconDecoder(options, trie, lm, SILENCE, BLANK, unknown, [], False)


def _run(search: Any, frames: np.ndarray) -> Any:
    return lambda: search.decode(frames.ctypes.data, *frames.shape)[0]


def _found(best: Any) -> Row:
    return {"score": best.score}
