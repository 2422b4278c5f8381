"""How much the language models that ship take away of the errors, by set, and what a line's language is taken for.

    python -m bench.language_models --handwriting FOLDER [--part val] [--write]

Every set is read with best path, and with the model of its language in one view and in five. Weight and bonus of the
model were chosen on validation splits; test splits are for the final figures. ``--write`` puts those of the split into
the models' card.
"""

import argparse
import re
from dataclasses import replace
from pathlib import Path

from bench.train_language_models import SETS
from fastctc import BestPath, cer, storage, wer
from fastctc.htr import data
from fastctc.htr.languages import shipped_language_model
from fastctc.htr.preparation import grey
from fastctc.htr.reader import Reader
from fastctc.imaging import images

HEADS = {"val": "Validation lines", "test": "Test lines"}
TABLE = """| set | lines | best path | with the model | and five views | lines taken for their language |
|---|---|---|---|---|---|
"""


def errors(reader, by_image, texts):
    """CER and WER as they are written, and what was found."""
    found = reader._decoded(by_image)
    read = [hypotheses[0].text.strip() for hypotheses in found]
    return f"{cer(read, texts):.1%} ({wer(read, texts):.1%})", found


def row(folder, language, part):
    """Of the table: a set that is read in all ways."""
    parts = data.split(data.read(folder)[0])
    name = folder.name if parts[part] else f"{folder.name} (validation)"
    items = parts[part] or parts["val"]
    if not items:
        return ""
    texts = [item.text for item in items]
    plain = Reader()
    views = replace(plain, n_views=5)._views([grey(images.read(item.image)) for item in items])[1]
    upright, by_image = [(rows,) for rows in views[0]], list(zip(*views, strict=True))
    best = errors(replace(plain, decoder=BestPath(plain.alphabet, exact=False)), upright, texts)[0]
    with_model = {one: errors(Reader(language=one), upright, texts) for one in SETS}
    scores = {one: [hypotheses[0].score for hypotheses in found] for one, (_, found) in with_model.items()}
    several = errors(Reader(language=language, n_views=5), by_image, texts)[0]
    right = sum(max(each) == own for *each, own in zip(*scores.values(), scores[language], strict=True))
    said = name, len(items), best, with_model[language][0], several, f"{right / len(items):.0%}"
    return f"| {' | '.join(map(str, said))} |\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--handwriting", required=True, metavar="FOLDER")
    parser.add_argument("--part", choices=tuple(HEADS), default="test")
    parser.add_argument("--write", action="store_true", help="into the models' card")
    options = parser.parse_args()
    table = TABLE
    for language, names in SETS.items():
        for name in names:
            found = row(Path(options.handwriting) / name, language, options.part)
            print(found, end="", flush=True)
            table += found
    if options.write:
        card = shipped_language_model("en").with_name("README.md")
        head = f"### {HEADS[options.part]}, CER (WER)\n\n"
        text = re.sub(rf"{re.escape(head)}.*?\n\n", "", card.read_text(encoding="utf-8"), flags=re.DOTALL)
        storage.write_text(card, text.replace("## Texts and licences", f"{head}{table}\n## Texts and licences"))


if __name__ == "__main__":
    main()
