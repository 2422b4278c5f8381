"""Is the faster decoder also the better one? CER, WER and milliseconds of every decoder and language model, on frames
that come with the true text."""

import tempfile
from functools import partial
from pathlib import Path

from bench.compare import material, peers
from bench.compare.measure import Candidate, Row, measure
from fastctc import Alphabet, BeamSearch, BestPath, Lexicon, LexiconSearch, NGram, WordBeamSearch, cer, wer
from fastctc.htr.reader import CHARACTER_BONUS, CHARACTER_LM

WIDTH, WIDTHS = 25, (25, 100)  # without words, with them
LM_WEIGHT, WORD_BONUS, UNKNOWN = 0.5, 1.5, -12.0  # the first two are pyctcdecode's own, for everybody
CHARACTERS = {"lm_weight": CHARACTER_LM, "character_bonus": CHARACTER_BONUS * CHARACTER_LM}  # the reader's own


def accuracy(
    seconds: float, quick: bool, fonts: str = ".fonts", text: tuple[str, ...] = (), data: tuple[str, ...] = ()
) -> list[Row]:
    n_lines, n_words = (12, 40) if quick else (100, 300)
    sets = material.real(data, text, 10 if quick else 100)
    try:
        sets = material.rendered(fonts, text, n_lines, n_words) + sets
    except (OSError, ValueError) as error:
        print(f"left out: rendered lines and words: {error}", flush=True)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for one in sets:
            rows += measure("accuracy", one.name, _candidates(one, str(Path(folder) / "words.arpa")), seconds)
    return rows


def _candidates(one: material.Material, arpa: str) -> list[Candidate]:
    alphabet, frames, single = one.alphabet, one.frames, one.name.endswith("words")
    vocabulary = sorted(set(one.corpus.split()))
    lexicon = Lexicon.from_words(vocabulary, alphabet, unknown="skip")
    characters = NGram.train(one.lines, 6, sentences=True, vocabulary=alphabet.characters)
    NGram.train(one.corpus, 3, unit="word").to_arpa(arpa)
    words = NGram.from_arpa(arpa)
    weights = {"lm": words, "lexicon": lexicon, "lm_weight": LM_WEIGHT, "word_bonus": WORD_BONUS, "exact": False}
    ours = {
        "BestPath": BestPath(alphabet, exact=False),
        f"BeamSearch, {WIDTH}": BeamSearch(alphabet, WIDTH, exact=False),
    }
    for n in WIDTHS:
        ours |= {
            f"BeamSearch, 6-gram of characters, {n}": BeamSearch(alphabet, n, lm=characters, exact=False, **CHARACTERS),
            f"BeamSearch, lexicon and 3-gram of words, {n}": BeamSearch(alphabet, n, **weights),
            f"BeamSearch, open vocabulary, 3-gram of words, {n}": BeamSearch(
                alphabet, n, unknown_log_prob=UNKNOWN, **weights
            ),
            f"WordBeamSearch, words, {n}": WordBeamSearch(lexicon, n, exact=False),
            f"WordBeamSearch, 3-gram, {n}": WordBeamSearch(lexicon, n, lm=words, exact=False),
        }
    if single:
        ours["LexiconSearch"] = LexiconSearch(lexicon, exact=False)

    def quality(found: list[str]) -> Row:
        read = [text.strip() for text in found]
        return {"cer": cer(read, one.texts), "wer": wer(read, one.texts)}

    plain, known = Alphabet(alphabet.characters), lexicon.all_words()
    ways = [("fastctc", name, partial(_texts, decoder, frames)) for name, decoder in ours.items()]
    ways += peers.best_path(frames, plain)
    ways += [(who, f"{how}, {WIDTH}", run) for who, how, run in peers.beam_search(frames, plain, WIDTH, patient=False)]
    for beam_width in WIDTHS:
        ways += peers.with_words(frames, alphabet, known, arpa, LM_WEIGHT, WORD_BONUS, beam_width)
    return [Candidate(who, how, run, quality, len(frames)) for who, how, run in ways]


def _texts(decoder, frames) -> list[str]:
    return [decoder.decode(f)[0].text for f in frames]
