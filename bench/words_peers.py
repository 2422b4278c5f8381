"""Words beside the decoders they are compared with: ``python -m bench.words_peers --frames FILE --alphabet FILE ...``.

Word beam search is measured in multiples of a plain beam search of fast_ctc_decode on the same frames; shallow fusion
beside flashlight-text's lexicon decoder without token pruning, on the same ARPA file and with the same weights; log
probabilities beside those of kenlm.
"""

import argparse
import math
import re
from functools import partial
from pathlib import Path

import numpy as np

from bench.peers import Work, blank_first, measure, optional, show
from fastctc import Alphabet, BeamSearch, Lexicon, NGram, WordBeamSearch, log_probability

LM_WEIGHT, WORD_BONUS = 1.0, 2.0


def word_beam_search(frames, alphabet: Alphabet, corpus: str, words: list[str], seconds: float, fcd) -> None:
    lexicon = Lexicon.from_text(corpus, alphabet)
    letters = re.escape("".join(sorted(alphabet.word_characters)))
    running = " ".join(re.findall(f"[{letters}]+", corpus))
    lm = NGram.train(running, 2, unit="word", smoothing="add-k", k=0.01)
    decoders = {
        mode: WordBeamSearch(lexicon, lm=None if mode == "words" else lm, mode=mode, exact=False)
        for mode in ("words", "ngrams", "ngrams_forecast")
    }
    if words:
        large = Lexicon.from_words(words, alphabet, unknown="skip")
        decoders[f"words, {len(large)} words"] = WordBeamSearch(large, exact=False)
    candidates: dict[str, Work] = {}
    for name, decoder in decoders.items():
        candidates[f"fastctc.WordBeamSearch, {name}"] = lambda decoder=decoder: decoder.decode(frames)
        print(f"{name}: {decoder.decode(frames)[0].text}")
    if fcd:
        symbols = [chr(0x100 + i) for i in range(frames.shape[1])]
        probs = blank_first(np.exp(frames))
        candidates["fast_ctc_decode.beam_search, cut 0, no words"] = lambda: fcd.beam_search(
            probs, symbols, beam_size=25, beam_cut_threshold=0.0
        )
    show("Word beam search, beam width 25", measure(candidates, seconds))


def fusion(frames, alphabet: Alphabet, arpa: str, seconds: float, flashlight, dictionary) -> None:
    lm = NGram.from_arpa(arpa)
    words = [word for word in lm.vocabulary if word and alphabet.word_characters.issuperset(word)]
    lexicon = Lexicon.from_words(words, alphabet)
    n_frames, n_classes = frames.shape
    emissions = np.ascontiguousarray(frames, dtype=np.float32)
    space = alphabet.encode(" ")[0]

    def common(text: str) -> float:
        labels = alphabet.encode(text)
        found = [alphabet.decode(labels[a:b]) for a, b in alphabet.words(labels)]
        value = log_probability(frames, text, alphabet)
        return value + LM_WEIGHT * lm.score(found, end=False) + WORD_BONUS * len(found)

    for beam_width in (25, 100):
        decoder = BeamSearch(
            alphabet, beam_width, lm=lm, lexicon=lexicon, lm_weight=LM_WEIGHT, word_bonus=WORD_BONUS, exact=False
        )
        candidates: dict[str, Work] = {"fastctc.BeamSearch, model of words": lambda d=decoder: d.decode(frames)}
        texts = {"fastctc": decoder.decode(frames)[0].text}
        if flashlight:
            table = dictionary.create_word_dict({word: [list(word)] for word in [*words, "<unk>"]})
            model = flashlight.KenLM(arpa, table)
            trie, start = flashlight.Trie(n_classes, space), model.start(False)
            for word in words:
                number = table.get_index(word)
                trie.insert(list(alphabet.encode(word)), number, model.score(start, number)[1])
            trie.smear(flashlight.SmearingMode.MAX)
            options = flashlight.LexiconDecoderOptions(
                beam_width,
                n_classes,
                1e9,
                LM_WEIGHT * math.log(10),
                WORD_BONUS,
                -math.inf,
                0.0,
                True,
                flashlight.CriterionType.CTC,
            )
            unknown = table.get_index("<unk>")
            peer = flashlight.LexiconDecoder(options, trie, model, space, alphabet.blank, unknown, [], False)
            arguments = emissions.ctypes.data, n_frames, n_classes
            candidates["flashlight LexiconDecoder, no pruning"] = partial(peer.decode, *arguments)
            path = peer.decode(*arguments)[0].tokens
            labels = [a for a, b in zip(path, [-1, *path], strict=False) if a != b and a != alphabet.blank]
            texts["flashlight"] = alphabet.decode(labels).strip()
        for name, text in texts.items():
            print(f"{name}: {common(text):.3f} {text}")
        show(f"Shallow fusion, beam width {beam_width}", measure(candidates, seconds))


def log_probabilities(arpa: str, corpus: str, kenlm) -> None:
    ours, theirs = NGram.from_arpa(arpa), kenlm.Model(arpa)
    rng = np.random.default_rng(1)
    tokens, worst = corpus.split(), 0.0
    for _ in range(1000):
        start = int(rng.integers(len(tokens) - 20))
        sentence = [
            token if rng.random() < 0.9 else "zzzz" for token in tokens[start : start + int(rng.integers(1, 20))]
        ]
        scores = theirs.full_scores(" ".join(sentence))  # score() adds them up in single precision
        worst = max(worst, abs(ours.score(sentence) / math.log(10) - sum(score for score, *_ in scores)))
    print(f"\nlog10 probability of 1000 sentences beside kenlm: at most {worst:.2g} apart")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", required=True, metavar="FILE", help="log probabilities, the blank last")
    parser.add_argument("--alphabet", required=True, metavar="FILE")
    parser.add_argument("--corpus", required=True, metavar="FILE")
    parser.add_argument("--words", metavar="FILE", help="a large word list")
    parser.add_argument("--arpa", metavar="FILE")
    parser.add_argument("--seconds", type=float, default=5.0, help="for each table (default: %(default)s)")
    options = parser.parse_args()
    plain = Alphabet.load(options.alphabet)
    alphabet = Alphabet(plain.characters, -1, [c for c in plain.characters if c.isalpha() or c == "'"])
    frames = np.load(options.frames)
    corpus = Path(options.corpus).read_text(encoding="utf-8")
    words = Path(options.words).read_text(encoding="utf-8").split() if options.words else []
    word_beam_search(frames, alphabet, corpus, words, options.seconds, optional("fast_ctc_decode"))
    if options.arpa:
        flashlight = optional("flashlight.lib.text.decoder")
        dictionary = optional("flashlight.lib.text.dictionary")
        fusion(frames, alphabet, options.arpa, options.seconds, flashlight, dictionary)
        kenlm = optional("kenlm")
        if kenlm:
            log_probabilities(options.arpa, corpus, kenlm)


if __name__ == "__main__":
    main()
