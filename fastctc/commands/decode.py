"""Decode matrices from files into text."""

import json
import math
import sys
from argparse import ArgumentParser, Namespace
from dataclasses import replace
from typing import Any

from fastctc import storage
from fastctc.alphabet import Alphabet
from fastctc.commands import inputs
from fastctc.commands.lm import read_model, read_text
from fastctc.commands.refusals import refuse
from fastctc.decoders import (
    BeamSearch,
    BestPath,
    Decoder,
    LexiconSearch,
    PrefixSearch,
    TokenPassing,
    WordBeamSearch,
)
from fastctc.decoders.hot_words import words_of
from fastctc.decoders.word_beam_search import COMPLETIONS
from fastctc.hypothesis import Hypothesis
from fastctc.lexicon import Lexicon

# Of each decoder, the options that it knows, and those among them that it needs.
DECODERS: dict[str, tuple[set[str], set[str]]] = {
    "best-path": (set(), set()),
    "beam-search": (
        {"beam_width", "n_best", "lm", "lm_weight", "character_bonus", "word_bonus", "hot_words", "rescore"},
        set(),
    ),
    "prefix-search": ({"n_best", "split"}, set()),
    "token-passing": ({"words", "lm", "lm_weight"}, {"words"}),
    "lexicon": ({"words", "n_best", "tolerance"}, {"words"}),
    "word-beam-search": ({"words", "corpus", "beam_width", "n_best", "lm", "mode", "completion", "hot_words"}, set()),
}


def add_arguments(parser: ArgumentParser) -> None:
    inputs.add_arguments(parser)
    parser.add_argument("--decoder", choices=DECODERS, default="beam-search", help="default: %(default)s")
    parser.add_argument("--n-best", type=int, metavar="N", help="texts to show of each matrix (default: 1)")
    beams = parser.add_argument_group("beam-search and word-beam-search")
    beams.add_argument("--beam-width", type=int, metavar="N", help="default: 25")
    beams.add_argument("--lm", metavar="FILE", help="a language model: .arpa, .arpa.gz, KenLM's, or saved")
    beams.add_argument("--lm-weight", type=float, metavar="W", help="default: 0.5; for token-passing 1")
    beams.add_argument("--character-bonus", type=float, metavar="B", help="for each character (default: 0)")
    beams.add_argument("--word-bonus", type=float, metavar="B", help="for each word (default: 0)")
    beams.add_argument(
        "--hotwords",
        dest="hot_words",
        metavar="FILE",
        help="words and phrases to prefer: one a line, a tab, how much (2)",
    )
    beams.add_argument("--unit", choices=("word", "character"), help="of an ARPA file (default: character)")
    beams.add_argument("--rescore", action="store_const", const=True, help="order texts by their true probability")
    prefixes = parser.add_argument_group("prefix-search")
    prefixes.add_argument("--split", type=float, metavar="P", help="cut where the blank is more probable than this")
    words = parser.add_argument_group("token-passing, lexicon and word-beam-search")
    words.add_argument("--words", metavar="FILE", help="the words, one a line, or a saved lexicon")
    words.add_argument(
        "--tolerance", type=int, metavar="N", help="lexicon: only words at this edit distance from the best path's text"
    )
    running = parser.add_argument_group("word-beam-search")
    running.add_argument("--corpus", metavar="FILE", help="a text whose words are the words")
    running.add_argument("--word-chars", metavar="STR", help="characters of words (default: letters and apostrophes)")
    running.add_argument(
        "--mode", choices=("words", "ngrams", "ngrams_forecast"), help="default: ngrams_forecast with --lm"
    )
    running.add_argument("--completion", choices=COMPLETIONS, help="of an unfinished last word (default: unique)")


def run(options: Namespace) -> int:
    try:
        decoder = _decoder(options)
    except (OSError, ValueError) as error:
        refuse(options, error)
    show = _show_json if options.json else _show_texts
    return inputs.each_matrix(options, lambda _, frames: decoder.decode(**frames), show)


def _decoder(options: Namespace) -> Decoder:
    alphabet = inputs.alphabet(options)
    known, needed = DECODERS[options.decoder]
    every = set().union(*(names for names, _ in DECODERS.values()))
    given = {name: getattr(options, name) for name in sorted(every) if getattr(options, name) is not None}
    for name in given:
        if name not in known:
            users = [decoder for decoder, (names, _) in DECODERS.items() if name in names]
            raise ValueError(f"{_flag(name)} goes with --decoder {' or '.join(users)}, not with {options.decoder}")
    for name in needed - set(given):
        raise ValueError(f"--decoder {options.decoder} needs {_flag(name)}")
    for name in ("lm_weight", "character_bonus", "unit"):
        if "lm" not in given and getattr(options, name) is not None:
            raise ValueError(f"{_flag(name)} goes with --lm")
    if "word_bonus" in given and not {"lm", "hot_words"} & set(given):
        raise ValueError("--word-bonus goes with --lm or --hotwords: without them words are not known")
    if options.word_chars is not None and options.decoder != "word-beam-search":
        raise ValueError(f"--word-chars goes with --decoder word-beam-search, not with {options.decoder}")
    if "lm" in given:
        unit = options.unit or ("character" if options.decoder == "beam-search" else "word")
        given["lm"] = read_model(given["lm"], unit)
    if "hot_words" in given:
        given["hot_words"] = _hot_words(given["hot_words"])
    if options.decoder == "best-path":
        return BestPath(alphabet)
    if options.decoder == "beam-search":
        return BeamSearch(alphabet, **given)
    if options.decoder == "prefix-search":
        return PrefixSearch(alphabet, **given)
    if options.decoder == "word-beam-search":
        return WordBeamSearch(_running_words(given, options.word_chars, alphabet), **given)
    lexicon = _lexicon(given.pop("words"), alphabet)
    return TokenPassing(lexicon, **given) if options.decoder == "token-passing" else LexiconSearch(lexicon, **given)


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _running_words(given: dict[str, Any], characters: str | None, alphabet: Alphabet) -> Lexicon:
    """The lexicon for running text: its words, or those of a text."""
    if ("words" in given) == ("corpus" in given):
        raise ValueError("--decoder word-beam-search needs --words or --corpus")
    known = alphabet.characters
    of_words = [c for c in known if c in characters] if characters else [c for c in known if c.isalpha() or c == "'"]
    alphabet = replace(alphabet, word_characters=of_words)
    if "words" in given:
        lexicon = _lexicon(given.pop("words"), alphabet)
    else:
        lexicon = Lexicon.from_text(read_text(given.pop("corpus")), alphabet)
    hot = [word for word in words_of(alphabet, given.get("hot_words", ())) if word not in lexicon]
    return Lexicon.from_words([*lexicon.all_words(), *dict.fromkeys(hot)], alphabet) if hot else lexicon


def _hot_words(file: str) -> dict[str, float]:
    found = {}
    for number, line in enumerate(read_text(file).splitlines(), 1):
        phrase, _, bonus = line.partition("\t")
        try:
            if phrase.strip():
                found[phrase.strip()] = float(bonus) if bonus.strip() else 2.0
        except ValueError:
            raise ValueError(f"{file}, line {number}: must be a phrase, a tab and a number, got {line!r}") from None
    return found


def _lexicon(file: str, alphabet: Alphabet) -> Lexicon:
    if storage.is_saved(file):
        lexicon = Lexicon.load(file)
        if lexicon.alphabet != alphabet:
            raise ValueError(f"{file}: the lexicon was saved for another alphabet")
        return lexicon
    lexicon = Lexicon.from_file(file, alphabet, unknown="skip")
    if lexicon.skipped:
        some = ", ".join(lexicon.skipped[:5])
        print(
            f"fastctc decode: {file}: {len(lexicon.skipped)} words are left out, for characters that are not in the "
            f"alphabet: {some}{', …' if len(lexicon.skipped) > 5 else ''}",
            file=sys.stderr,
        )
    return lexicon


def _show_texts(name: str, found: list[Hypothesis]) -> None:
    for hypothesis in found:
        print(name, f"{hypothesis.log_prob:.4f}", hypothesis.text, sep="\t", flush=True)


def _show_json(name: str, found: list[Hypothesis]) -> None:
    hypotheses = [
        {key: _finite(value) for key, value in h._asdict().items()} | {"words": [w._asdict() for w in h.words]}
        for h in found
    ]
    print(json.dumps({"name": name, "hypotheses": hypotheses}, ensure_ascii=False), flush=True)


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
