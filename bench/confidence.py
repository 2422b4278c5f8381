"""Fit what makes the handwriting reader's confidence true, by what reads, on lines that training did not see.

    python -m bench.confidence --data FOLDER [--data FOLDER …] [--prose NAME FILE …] [--only characters] [--write]

Validation lines of all folders are read without help, with a model of characters and with a lexicon, in one view and in
five. How good the confidence is, each folder's hands are asked that were left out of the fit; what ships is fitted on
all. A folder is read with the model of its language that ships; other models, and the lexica, are made of the prose
named for it, or else of the other folders' training lines.
``--write`` puts the numbers into the card of the shipped weights, and the picture beside them.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from bench.handwriting import MOST, ORDER, card_page, expected_calibration_error, read_prose, spellable
from bench.train_language_models import SETS
from fastctc import Lexicon, NGram, storage
from fastctc.htr import confidence, data
from fastctc.htr.checkpoint import load_network, save_network
from fastctc.htr.plotting import figure, plot_reliability, save
from fastctc.htr.preparation import grey
from fastctc.htr.reader import Reader, shipped_weights
from fastctc.imaging import images

VIEWS = {"one view": 1, "several views": 5}
KINDS = ("image", "characters", "words")


def readers(reader, lines, language, kinds):
    """What reads, by the name that the card has for it."""
    ways = {"image": reader}
    if language:
        ways["characters"] = replace(reader, language=language)
    elif "characters" in kinds:
        lm = NGram.train(lines, ORDER, sentences=True, vocabulary=reader.config.characters)
        ways["characters"] = replace(reader, ngram=lm)
    if "words" in kinds:
        ways["words"] = replace(reader, lexicon=Lexicon.from_text("\n".join(lines), reader.word_alphabet))
    for views, n_views in VIEWS.items():
        for kind in kinds:
            yield f"{kind}, {views}", uncalibrated(replace(ways[kind], n_views=n_views))


def uncalibrated(reader):
    """The same, whose confidence is the posterior that is to be fitted."""
    reader.card.pop("confidence", None)
    return reader


def words_of(reader, pictures, texts):
    """Features of all words read, their posteriors, and whether they are right."""
    rows, correct = [], []
    for line, text in zip(reader.read_lines(pictures), texts, strict=True):
        if line.words:
            shares = confidence.word_shares(reader.alphabet, line.hypotheses)
            right = confidence.matches([word.text for word in line.words], text.split())
            for word, share, is_right in zip(line.words, shares, right, strict=True):
                rows.append(confidence.features(word.confidence, share, len(word.text)))
                correct.append(is_right)
    return np.array(rows), np.array(correct, bool)


def probabilities(weights, rows):
    return 1.0 / (1.0 + np.exp(-rows @ np.array(weights)))


def auroc(sure, correct):
    """How often a word that is right is surer than one that is wrong."""
    right, wrong = sure[correct], sure[~correct]
    return float(np.mean((right[:, None] > wrong) + 0.5 * (right[:, None] == wrong)))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", default=str(shipped_weights()))
    parser.add_argument("--data", action="append", required=True, metavar="FOLDER")
    parser.add_argument("--prose", nargs="+", action="append", default=[], metavar=("NAME", "FILE"))
    parser.add_argument(
        "--only", choices=KINDS, nargs="+", default=KINDS, help="these are fitted anew, and the card keeps the others"
    )
    parser.add_argument("--write", action="store_true", help="into the card of the shipped weights")
    options = parser.parse_args()
    if len(options.data) < 2:
        parser.error("there must be two folders or more: one is judged by the others")
    config, weights, card = load_network(options.weights)
    reader = Reader(weights=options.weights)
    parts = {Path(folder).name: data.split(data.read(folder)[0]) for folder in options.data}
    prose = {name: "\n".join(map(read_prose, files)).splitlines() for name, *files in options.prose}
    found = {}
    for folder, split in parts.items():
        others = [item.text for name in parts.keys() - prose.keys() - {folder} for item in parts[name]["train"]]
        lines = spellable(reader, prose.get(folder, others))
        some = split["val"][:: -(-len(split["val"]) // MOST)]
        pictures = [grey(images.read(item.image)) for item in some]
        language = next((language for language, sets in SETS.items() if folder in sets), "")
        for name, one in readers(reader, lines, language, options.only):
            found.setdefault(name, {})[folder] = words_of(one, pictures, [item.text for item in some])
            print(f"{folder}, {name}: {len(found[name][folder][1])} words", flush=True)
    fitted, said = {}, {}
    made, axes = figure(len(VIEWS), len(options.only), figsize=(4 * len(options.only), 8))
    for ax, (name, by_folder) in zip(np.ravel(axes), found.items(), strict=True):
        sure, before, correct = [], [], []
        for folder, (rows, right) in by_folder.items():
            rest = [by_folder[other] for other in by_folder if other != folder]
            rule = confidence.fit(np.concatenate([r for r, _ in rest]), np.concatenate([c for _, c in rest]))
            sure.append(probabilities(rule, rows))
            before.append(1.0 / (1.0 + np.exp(-rows[:, 1])))
            correct.append(right)
        sure, before, correct = map(np.concatenate, (sure, before, correct))
        error = expected_calibration_error(sure, correct)
        said[f"ece of words, hands left out, {name}"] = round(error, 3)
        print(f"{name}: ECE {expected_calibration_error(before, correct):.3f} before, {error:.3f}; "
              f"AUROC {auroc(before, correct):.3f} before, {auroc(sure, correct):.3f}")  # fmt: skip
        plot_reliability(sure, correct, ax=ax)
        ax.set_title(f"{name}: ECE {error:.3f}", fontsize=9)
        everything = [np.concatenate(one) for one in zip(*by_folder.values(), strict=True)]
        fitted[name] = [round(weight, 4) for weight in confidence.fit(*everything)]
    if options.write:
        kept = {name: value for name, value in card.get("confidence", {}).items() if name not in fitted}
        card |= {"confidence": kept | fitted, **said}
        save_network(shipped_weights(), config, weights, card, dtype="f2")
        if len(options.only) == len(KINDS):
            save(made, shipped_weights().parent / "reliability.png")
        storage.write_text(shipped_weights().parent / "README.md", card_page(card))


if __name__ == "__main__":
    main()
