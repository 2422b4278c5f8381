"""How well the handwriting network reads, by decoder, and at which temperature its probabilities are what they say.

Makes the network's card. The confidence of words is fitted after that, by :mod:`bench.confidence`.

    python -m bench.handwriting --data FOLDER [--data FOLDER …] --fonts FOLDER --text FILE …
        [--prose NAME FILE …] [--write]

Test splits are read once for each decoder; what is chosen (the weight of the language model, the temperature) is
chosen on validation splits. ``--write`` puts the results into the weights' card.

The model of characters of a set counts the texts of its training lines, and the prose given for it, wrapped into lines
as long; that of the rendered words counts the words of the text before the part that is rendered.
"""

import argparse
import gettext
import json
import re
import textwrap
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from fastctc import BeamSearch, BestPath, Lexicon, NGram, WordBeamSearch, cer, storage, tune, wer
from fastctc.htr import data, fonts, synthesis
from fastctc.htr.checkpoint import load_network, save_network
from fastctc.htr.confidence import matches
from fastctc.htr.preparation import grey
from fastctc.htr.reader import Reader, shipped_weights
from fastctc.htr.views import combine_views
from fastctc.imaging import images

ORDER = 6
WIDTH = 200  # of the beam with a model of characters, which the weight makes deep
MOST = 60  # lines of a validation split on which weight, bonus and temperature are chosen
N_BEST = 10  # texts that each view offers
OWN = 10  # times that the set's own lines count beside the prose
TEMPERATURES = np.exp(np.linspace(np.log(0.7), np.log(2.5), 27))


def frames_of(reader, items):
    """Log probabilities of data items, view by view, and their texts."""
    return reader._views([grey(images.read(item.image)) for item in items])[1], [item.text for item in items]


def rendered(reader, fonts_folder, lines, count, seed):
    """Words of some lines of text, in the fonts that training leaves out."""
    unseen = [path for path in fonts.find(fonts_folder) if fonts.family(path) in fonts.HELD_OUT]
    source = synthesis.Synthesizer(unseen, lines, reader.config.characters, words=(1, 1), seed=seed)
    pictures = [source.sample(k) for k in range(count)]
    views = reader._views([255 - ink for ink, _ in pictures])[1]
    return views, [text for _, text in pictures], [fonts.family(path) for path in unseen]


def errors(decoder, views, texts):
    """CER, WER and milliseconds an image."""
    start = time.perf_counter()
    found = [decoder.decode_batch(rows) for rows in views]
    read = [
        combine_views(decoder.alphabet, rows, beams)[0].text.strip()
        for rows, beams in zip(zip(*views, strict=True), zip(*found, strict=True), strict=True)
    ]
    seconds = time.perf_counter() - start
    return {"cer": cer(read, texts), "wer": wer(read, texts), "ms": 1e3 * seconds / len(texts)}


def table(ways, views, texts):
    """Errors of each way to read; of one view, and of all where a search offers several texts for each."""
    found = {name: errors(decoder, views[:1], texts) for name, decoder in ways.items()}
    for name, decoder in ways.items():
        if isinstance(decoder, BeamSearch):
            found[f"{name}, {len(views)} views"] = errors(replace(decoder, n_best=N_BEST), views, texts)
    return found


def calibration(reader, rows, texts):
    """The temperature with the most probable outcome on these lines: right or wrong, at the confidence given."""
    decoder = BeamSearch(reader.alphabet, 25)
    best = (np.inf, 1.0)
    for temperature in TEMPERATURES:
        scaled = [row / np.float32(temperature) for row in rows]
        scaled = [row - np.log(np.exp(row).sum(1, keepdims=True)) for row in scaled]
        found = decoder.decode_batch(scaled)
        confidence, correct = words_of(found, texts)
        p = np.clip(confidence, 1e-4, 1 - 1e-4)
        loss = -np.mean(np.where(correct, np.log(p), np.log(1 - p)))
        best = min(best, (float(loss), float(temperature)))
    return best[1]


def words_of(found, texts):
    """Confidence of every word read, and whether it stands in the true text where it should (aligned word by word)."""
    confidence, correct = [], []
    for (best, *_), truth in zip(found, texts, strict=True):
        read, true = [word.text for word in best.words], truth.split()
        confidence += [word.probability for word in best.words]
        correct += matches(read, true)
    return np.array(confidence), np.array(correct, bool)


def expected_calibration_error(confidence, correct, bins=10):
    """Mean distance of confidence and correctness over bins, weighted by their size."""
    number = np.clip((confidence * bins).astype(int), 0, bins - 1)
    total = 0.0
    for k in range(bins):
        inside = number == k
        if inside.any():
            total += inside.sum() * abs(confidence[inside].mean() - correct[inside].mean())
    return total / len(confidence)


def decoders(reader, lines, rows, texts, quick):
    """What reads: without help; with a model of the characters of these lines, its weights chosen on validation data;
    with the words of the lines."""
    alphabet = reader.alphabet
    if quick:
        return {"best path": BestPath(alphabet, exact=False)}
    words = Lexicon.from_text("\n".join(lines), reader.word_alphabet)
    lm = NGram.train(lines, ORDER, sentences=True, vocabulary=reader.config.characters)
    plain = BeamSearch(alphabet, WIDTH, lm=lm, lm_weight=1.0, character_bonus=1.0, exact=False)
    tuned = tune(plain, rows, texts).decoder
    weights = f"weight {tuned.lm_weight:.2f}, bonus {tuned.character_bonus:.2f}"
    return {
        "best path": BestPath(alphabet, exact=False),
        "beam search, width 25": BeamSearch(alphabet, 25, exact=False),
        f"beam search, width {WIDTH}, {ORDER}-gram of characters, {weights}": tuned,
        f"word beam search, {len(words)} words": WordBeamSearch(words, 50, exact=False),
    }


def spellable(reader, lines):
    """Lines in the reader's characters, without those that have none."""
    known = set(reader.config.characters)
    return [line for line in ("".join(c for c in line if c in known).strip() for line in lines) if line]


def read_prose(path):
    """A text; of a catalogue of translations (.mo) the longer ones, without markup."""
    if Path(path).suffix != ".mo":
        return "\n".join(synthesis.read_texts([path]))
    with Path(path).open("rb") as file:
        messages = gettext.GNUTranslations(file)._catalog.values()
    plain = [re.sub(r"<[^>]*>|\$\w+|\|", " ", message) for message in messages if isinstance(message, str)]
    return "\n".join(message.replace("’", "'") for message in plain if len(message) > 60)


def chosen_on(reader, items):
    """Frames and texts of the validation lines on which something is chosen, of one view."""
    some = items[:: -(-len(items) // MOST)]
    [rows], texts = frames_of(replace(reader, n_views=1), some)
    return rows, texts


def of_folder(reader, folder, prose, part, quick):
    """Name and results of a split, or of the validation split if there is no such."""
    parts = data.split(data.read(folder)[0])
    own = spellable(reader, [item.text for item in parts["train"]])
    wrapped = textwrap.wrap(prose, int(np.mean([len(line) for line in own])) + 2)
    rows, texts = ([], []) if quick else chosen_on(reader, parts["val"])
    ways = decoders(reader, own * OWN + spellable(reader, wrapped), rows, texts, quick)
    part = part if parts[part] else "val"
    found = table(ways, *frames_of(reader, parts[part]))
    name = {"test": "test", "val": "validation, on which weight and bonus were chosen"}[part]
    return f"{Path(folder).name} {name}, {len(parts[part])} lines", found


def of_fonts(reader, folder, lines, quick):
    """Name and results of words in fonts that training leaves out; what is rendered, the models have not read."""
    cut = len(lines) * 9 // 10
    words = [] if quick else spellable(reader, " ".join(lines[:cut]).split())
    [known], truth, _ = rendered(replace(reader, n_views=1), folder, lines[cut:], 300, 98)
    ways = decoders(reader, words, known, truth, quick)
    views, truth, families = rendered(reader, folder, lines[cut:], 1000, 99)
    return f"1000 rendered words in unseen fonts ({', '.join(families)})", table(ways, views, truth)


def kept(path, key, measure):
    """Name and results of a measurement, from the file of those that were made before if there is one."""
    file = Path(path) / f"{key}.json" if path else None
    if file and file.exists():
        return json.loads(file.read_text(encoding="utf-8"))
    found = measure()
    if file:
        file.parent.mkdir(parents=True, exist_ok=True)
        storage.write_text(file, json.dumps(found, ensure_ascii=False))
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", default=str(shipped_weights()))
    parser.add_argument("--data", action="append", default=[], metavar="FOLDER")
    parser.add_argument("--fonts", metavar="FOLDER")
    parser.add_argument(
        "--text", nargs="+", default=[], metavar="FILE", help="English: the last tenth is rendered, the rest is counted"
    )
    parser.add_argument(
        "--prose",
        nargs="+",
        action="append",
        default=[],
        metavar=("NAME", "FILE"),
        help="what else the model of characters of a set counts, by the name of its folder: texts, or .mo catalogues",
    )
    parser.add_argument(
        "--part", choices=("test", "val"), default="test", help="val: while training goes on (default: test)"
    )
    parser.add_argument(
        "--results", metavar="FOLDER", help="keep the results of each set there, and go on where a measurement stopped"
    )
    parser.add_argument("--quick", action="store_true", help="best path only")
    parser.add_argument("--card", metavar="FILE", help="JSON with what only people know: data, licences, settings")
    parser.add_argument("--write", action="store_true", help="put card and temperature into the shipped weights")
    options = parser.parse_args()
    reader = Reader(weights=options.weights, temperature=1.0, n_views=1 if options.quick else 5)
    lines = synthesis.read_texts(options.text)
    results, rows, texts = {}, [], []
    for folder in options.data:
        files = [file for name, *files in options.prose if name == Path(folder).name for file in files]

        def measure(folder=folder, files=files):
            return of_folder(reader, folder, "\n".join(map(read_prose, files)), options.part, options.quick)

        name, found = kept(options.results, Path(folder).name, measure)
        results[name] = found
    if options.fonts:
        name, found = kept(options.results, "fonts", lambda: of_fonts(reader, options.fonts, lines, options.quick))
        results[name] = found
    if options.write:
        for folder in options.data:
            more_rows, more_texts = chosen_on(reader, data.split(data.read(folder)[0])["val"])
            rows += more_rows
            texts += more_texts
    summary = {"temperature": 1.0}
    if rows:
        summary["temperature"] = calibration(reader, rows[::2], texts[::2])
        for temperature in (1.0, summary["temperature"]):
            calibrated = Reader(weights=options.weights, temperature=temperature)._calibrated(rows[1::2])
            confidence, correct = words_of(BeamSearch(reader.alphabet, 25).decode_batch(calibrated), texts[1::2])
            error = expected_calibration_error(confidence, correct)
            summary[f"ece of words at temperature {temperature:.2f}"] = error
    for name, found in results.items():
        print(f"\n{name}")
        for decoder, row in found.items():
            print(f"  {decoder:80} CER {row['cer']:6.2%}  WER {row['wer']:6.2%}  {row['ms']:.2f} ms")
    print(json.dumps(summary))
    if options.write:
        config, weights, card = load_network(options.weights)
        if options.card:
            card = json.loads(Path(options.card).read_text(encoding="utf-8"))
        card |= {"results": results, **summary}
        save_network(shipped_weights(), config, weights, card, dtype="f2")
        folder = shipped_weights().parent
        storage.write_text(folder / "README.md", card_page(card))


def card_page(card):
    """The card for people."""
    out = ["# latin.fastctc", "", card["about"], "", "## How well it reads", ""]
    out += ["`python -m bench.handwriting --help` makes this table. Nothing was fitted to the test splits.", ""]
    for name, found in card["results"].items():
        out += [f"**{name}**", "", "| decoder | CER | WER |", "|---|---|---|"]
        out += [f"| {decoder} | {row['cer']:.1%} | {row['wer']:.1%} |" for decoder, row in found.items()]
        out.append("")
    out += ["## Confidence", ""]
    out += [
        "`python -m bench.confidence --help` makes it. What has a name in it was fitted for what reads so, on lines"
    ]
    out += ["that training did not see; its error (ECE) is that on hands left out of the fit.", ""]
    out += ["![How often words are right, by confidence](reliability.png)", ""]
    out += [f"- {name}: {value:.3f}" for name, value in card.items() if name.startswith(("ece", "temperature"))]
    for part in ("data", "licences", "settings", "limits"):
        out += ["", f"## {part.capitalize()}", ""] + [f"- {line}" for line in card[part]]
    return "\n".join(out) + "\n"


if __name__ == "__main__":
    main()
