"""How well the handwriting network reads, by decoder, and how far its confidence can be trusted; makes its card.

    python -m bench.handwriting --data FOLDER [--data FOLDER …] --fonts FOLDER --text FILE … [--write]

Test splits are read once for each decoder; what is chosen (the weight of the language model, the temperature) is
chosen on validation splits. ``--write`` puts the results into the weights' card.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np

from fastctc import BeamSearch, BestPath, Lexicon, NGram, WordBeamSearch, cer, images, wer
from fastctc.htr import data, fonts, preparation, synthesis
from fastctc.htr.checkpoint import load_network, save_network
from fastctc.htr.reader import Reader, shipped_weights
from fastctc.plotting import figure, plot_reliability, save

MODELS = [(weight, bonus) for weight in (0.2, 0.35, 0.5, 0.7, 1.0) for bonus in (0.0, 0.5, 1.0)]  # tried on validation
WIDTH = 200  # of the beam with a model of characters, which the weight makes deep
TEMPERATURES = np.exp(np.linspace(np.log(0.7), np.log(2.5), 27))


def frames_of(reader, items):
    """Log probabilities and texts of data items."""
    rows = []
    for item in items:
        image = images.read(item.image)
        rows.append(reader.log_probs([image])[0])
    return rows, [item.text for item in items]


def rendered(reader, fonts_folder, lines, count, seed):
    """Words of some lines of text, in the fonts that training leaves out: every seventh."""
    found = fonts.find(fonts_folder)
    unseen = found[3::7]
    source = synthesis.Synthesizer(unseen, lines, reader.config.characters, words=(1, 1), seed=seed)
    pictures = [source.sample(k) for k in range(count)]
    rows = reader._computed([preparation.prepared(255 - ink, reader.config.height) for ink, _ in pictures])
    return rows, [text for _, text in pictures], [fonts.family(path) for path in unseen]


def errors(decoder, rows, texts):
    """CER, WER and milliseconds an image."""
    start = time.perf_counter()
    found = [one[0].text.strip() for one in decoder.decode_batch(rows)]
    seconds = time.perf_counter() - start
    return {"cer": cer(found, texts), "wer": wer(found, texts), "ms": 1e3 * seconds / len(rows)}


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
        right = aligned(read, true)
        confidence += [word.probability for word in best.words]
        correct += right
    return np.array(confidence), np.array(correct, bool)


def aligned(read, true):
    """For each word read whether it is one of the matches of the best alignment with the true words."""
    table = np.zeros((len(read) + 1, len(true) + 1), int)
    for i in range(len(read) - 1, -1, -1):
        for j in range(len(true) - 1, -1, -1):
            table[i, j] = max(table[i + 1, j], table[i, j + 1], table[i + 1, j + 1] + (read[i] == true[j]))
    right, i, j = [], 0, 0
    while i < len(read):
        if j < len(true) and read[i] == true[j] and table[i, j] == table[i + 1, j + 1] + 1:
            right.append(True)
            i, j = i + 1, j + 1
        elif j < len(true) and table[i, j] == table[i, j + 1]:
            j += 1
        else:
            right.append(False)
            i += 1
    return right


def expected_calibration_error(confidence, correct, bins=10):
    """Mean distance of confidence and correctness over bins, weighted by their size."""
    number = np.clip((confidence * bins).astype(int), 0, bins - 1)
    total = 0.0
    for k in range(bins):
        inside = number == k
        if inside.any():
            total += inside.sum() * abs(confidence[inside].mean() - correct[inside].mean())
    return total / len(confidence)


def decoders(reader, corpus, weight, bonus):
    """What reads: without help, with a model of characters, with the words of the corpus."""
    alphabet, known = reader.alphabet, set(reader.config.characters)
    words = Lexicon.from_text("".join(c if c in known else " " for c in corpus), reader.word_alphabet)
    return {
        "best path": BestPath(alphabet, exact=False),
        "beam search, width 25": BeamSearch(alphabet, 25, exact=False),
        f"beam search, width {WIDTH}, 6-gram of characters, weight {weight}, bonus {bonus}": with_model(
            reader, model(reader, corpus), weight, bonus
        ),
        f"word beam search, {len(words)} words": WordBeamSearch(words, 50, exact=False),
    }


def model(reader, corpus):
    """Of the characters of a text."""
    known = set(reader.config.characters)
    return NGram.train("".join(c for c in corpus if c in known), order=6, unit="character")


def with_model(reader, lm, weight, bonus):
    return BeamSearch(reader.alphabet, WIDTH, lm=lm, lm_weight=weight, character_bonus=bonus, exact=False)


def chosen(reader, corpus, rows, texts):
    """Weight and bonus of the model of characters with the least CER."""
    lm = model(reader, corpus)
    return min(MODELS, key=lambda one: errors(with_model(reader, lm, *one), rows, texts)["cer"])


def of_folder(reader, folder, english):
    """Results on a set's test split; frames and texts of its validation split."""
    items, _ = data.read(folder)
    parts = data.split(items)
    corpus = " ".join(item.text for item in parts["train"])
    if not any(c in corpus for c in "éèàç"):
        corpus += " " + english
    rows, texts = frames_of(reader, parts["val"])

    best = chosen(reader, corpus, rows, texts)
    test_rows, test_texts = frames_of(reader, parts["test"])
    table = {name: errors(d, test_rows, test_texts) for name, d in decoders(reader, corpus, *best).items()}
    return {f"{Path(folder).name} test, {len(test_texts)} lines": table}, (rows, texts)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", default=str(shipped_weights()))
    parser.add_argument("--data", action="append", default=[], metavar="FOLDER")
    parser.add_argument("--fonts", metavar="FOLDER")
    parser.add_argument(
        "--text", nargs="+", default=[], metavar="FILE", help="English: the last tenth is rendered, the rest is counted"
    )
    parser.add_argument("--card", metavar="FILE", help="JSON with what only people know: data, licences, settings")
    parser.add_argument("--write", action="store_true", help="put card and temperature into the shipped weights")
    options = parser.parse_args()
    reader = Reader(weights=options.weights, temperature=1.0)
    lines = synthesis.read_texts(options.text)
    cut = len(lines) * 9 // 10  # what is rendered, the models have not read
    english = " ".join(lines[:cut])
    results, rows, texts = {}, [], []
    for folder in options.data:
        table, (more_rows, more_texts) = of_folder(reader, folder, english)
        results |= table
        rows += more_rows
        texts += more_texts
    if options.fonts:
        best = chosen(reader, english, *rendered(reader, options.fonts, lines[cut:], 300, 98)[:2])
        pictures, truth, families = rendered(reader, options.fonts, lines[cut:], 1000, 99)
        table = {name: errors(d, pictures, truth) for name, d in decoders(reader, english, *best).items()}
        results[f"1000 rendered words in unseen fonts ({', '.join(families)})"] = table
    summary = {"temperature": 1.0}
    if rows:
        summary["temperature"] = calibration(reader, rows[::2], texts[::2])
        made, axes = figure(1, 2, figsize=(9, 4.5))
        for ax, temperature in zip(axes, (1.0, summary["temperature"]), strict=True):
            found = Reader(weights=options.weights, temperature=temperature)._calibrated(rows[1::2])
            confidence, correct = words_of(BeamSearch(reader.alphabet, 25).decode_batch(found), texts[1::2])
            plot_reliability(confidence, correct, ax=ax)
            error = expected_calibration_error(confidence, correct)
            ax.set_title(f"Words of validation lines, temperature {temperature:.2f}: ECE {error:.3f}", fontsize=9)
            summary[f"ece of words at temperature {temperature:.2f}"] = error
    for name, table in results.items():
        print(f"\n{name}")
        for decoder, row in table.items():
            print(f"  {decoder:60} CER {row['cer']:6.2%}  WER {row['wer']:6.2%}  {row['ms']:.2f} ms")
    print(json.dumps(summary))
    if options.write:
        config, weights, card = load_network(options.weights)
        if options.card:
            card = json.loads(Path(options.card).read_text(encoding="utf-8"))
        card |= {"results": results, **summary}
        save_network(shipped_weights(), config, weights, card, dtype="f2")
        folder = shipped_weights().parent
        save(made, folder / "reliability.png")
        (folder / "README.md").write_text(card_page(card), encoding="utf-8")


def card_page(card):
    """The card for people."""
    out = ["# latin.fastctc", "", card["about"], "", "## How well it reads", ""]
    out += ["`python -m bench.handwriting --help` makes this table. Nothing was fitted to the test splits.", ""]
    for name, table in card["results"].items():
        out += [f"**{name}**", "", "| decoder | CER | WER |", "|---|---|---|"]
        out += [f"| {decoder} | {row['cer']:.1%} | {row['wer']:.1%} |" for decoder, row in table.items()]
        out.append("")
    out += ["## Confidence", "", "![How often words are right, by confidence](reliability.png)", ""]
    out += [f"- {name}: {value:.3f}" for name, value in card.items() if name.startswith(("ece", "temperature"))]
    for part in ("data", "licences", "settings", "limits"):
        out += ["", f"## {part.capitalize()}", ""] + [f"- {line}" for line in card[part]]
    return "\n".join(out) + "\n"


if __name__ == "__main__":
    main()
