"""Folders of the Hugging Face hub that hold a vocabulary and may hold a language model."""

import json
from math import isfinite, log
from os import PathLike
from pathlib import Path
from typing import Any

from fastctc.alphabet import Alphabet
from fastctc.lexicon import Lexicon
from fastctc.lm.kenlm import KenLM, is_kenlm
from fastctc.lm.ngram import NGram

LN10 = log(10.0)
VOCABULARIES = ("vocab.json", "tokenizer.json")
ENDINGS = (".arpa", ".gz", ".bin", ".binary")
UNKNOWN = ("⁇", "▁⁇▁")  # how alphabet.json writes the token of what is unknown
WEIGHTS = ("alpha", "beta", "unk_score_offset")


def read(path: str | PathLike[str]) -> dict[str, Any]:
    """What a beam search takes from a folder: the alphabet, and the language model with its weights and words."""
    folder = Path(path)
    if not folder.is_dir():
        raise ValueError(f"{folder}: must be a folder")
    alphabet = _alphabet(folder)
    place = folder / "language_model"
    return {"alphabet": alphabet, **(_language_model(place, alphabet) if place.is_dir() else {})}


def _alphabet(folder: Path) -> Alphabet:
    file = folder / "alphabet.json"
    if not file.is_file():
        found = [folder / name for name in VOCABULARIES if (folder / name).is_file()]
        if not found:
            raise ValueError(f"{folder}: must hold alphabet.json, {' or '.join(VOCABULARIES)}")
        return Alphabet.from_vocabulary(found[0])
    content = _object(file)
    labels = content.get("labels")
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels) or "" not in labels:
        raise ValueError(f"{file}: must have labels, a list of strings, of which one is empty: the blank")
    try:
        return Alphabet.from_vocabulary(labels, blank="", special=_special(labels))
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from None


def _special(labels: list[str]) -> list[str]:
    return [label for label in labels if label in UNKNOWN or (len(label) > 2 and label[0] + label[-1] in ("<>", "[]"))]


def _language_model(folder: Path, alphabet: Alphabet) -> dict[str, Any]:
    files = [file for file in sorted(folder.iterdir()) if file.suffix in ENDINGS]
    if len(files) != 1:
        raise ValueError(f"{folder}: must hold one model ({', '.join(ENDINGS)}), got {[file.name for file in files]}")
    lm = KenLM.load(files[0]) if is_kenlm(files[0]) else NGram.from_arpa(files[0])
    found: dict[str, Any] = {"lm": lm}
    file = folder / "attrs.json"
    if file.is_file():
        weights = _object(file)
        for name in WEIGHTS:
            value = weights.get(name)
            if not isinstance(value, int | float) or not isfinite(value):
                raise ValueError(f"{file}: {name} must be a number, got {value!r}")
        found["lm_weight"], found["word_bonus"] = float(weights["alpha"]), float(weights["beta"])
        unknown = lm.unknown if isinstance(lm, NGram) else lm.log_probs_of(["<unk>"], begin=False)[0]
        found["unknown_log_prob"] = min(0.0, unknown + LN10 * float(weights["unk_score_offset"]))
    file = folder / "unigrams.txt"
    if file.is_file():
        words = [word for word in file.read_text(encoding="utf-8").splitlines() if word]
        if words:
            found["lexicon"] = Lexicon.from_words(list(dict.fromkeys(words)), alphabet, unknown="skip")
    return found


def _object(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{file}: not JSON: {error}") from None
    if not isinstance(content, dict):
        raise ValueError(f"{file}: must be an object, got {type(content).__name__}")
    return content
