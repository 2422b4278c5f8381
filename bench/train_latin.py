"""Makes the weights that ship: real lines and rendered ones in a mix, from the weights that shipped before.

    python -m bench.train_latin --handwriting FOLDER --text FILE … --fonts FOLDER … --out RUN --steps N

``--handwriting`` holds the sets of ``SETS``, each a folder that ``fastctc.htr.data`` reads; only their training splits
are trained on, their validation splits choose. The same command goes on where a run was stopped. Fonts that
``fastctc.htr.fonts.HELD_OUT`` names are left out, and measured on.
"""

import argparse
import sys
from pathlib import Path

from fastctc.htr import data, fonts, synthesis
from fastctc.htr.checkpoint import load_network
from fastctc.htr.reader import shipped_weights
from fastctc.htr.samples import Samples
from fastctc.htr.train import Settings, Source, train

# How often the lines of each set are drawn; the rest is rendered.
SETS = {
    "stanford1905": 0.07,
    "loc19": 0.1,
    "poilus": 0.19,
    "copiste": 0.13,
    "cremma19": 0.09,
    "peraire": 0.08,
    "cremma20": 0.01,
}
RENDERED = {"en": 0.22, "fr": 0.11}
MOST = 170  # lines of a set that are read at each validation


def kept(file, make):
    """Samples that are made once."""
    if not file.exists():
        print(f"making {file.name}", file=sys.stderr, flush=True)
        Samples.collect(make()).save(file)
    return Samples.load(file)


def real(folder, characters, part):
    """The lines of a split, without those that have other characters."""
    items, _ = data.known_texts(data.read(folder)[0], characters)
    for item in data.split(items)[part]:
        yield data.sample(item), item.text, item.group


def some(samples, most):
    """Every so-many-th sample, if there are more."""
    numbers = range(0, len(samples), -(-len(samples) // most))
    return Samples.collect((samples.image(i), samples.texts[i], samples.groups[i]) for i in numbers)


def rendered(files, texts, characters, words, count, seed, language=None):
    source = synthesis.Synthesizer(files, texts, characters, words=words, seed=seed, language=language)
    for number in range(count):
        yield (*source.sample(number), "")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--handwriting", required=True, metavar="FOLDER")
    parser.add_argument("--text", nargs="+", required=True, metavar="FILE", help="English prose")
    parser.add_argument("--fonts", nargs="+", required=True, metavar="FOLDER")
    parser.add_argument("--out", required=True, metavar="FOLDER")
    parser.add_argument("--cache", required=True, metavar="FOLDER", help="where prepared and rendered lines are kept")
    parser.add_argument("--init", default=str(shipped_weights()), metavar="FILE")
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--count", type=int, default=16_000, help="of rendered English lines; half as many French ones")
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--decay", type=float, default=0.25)
    parser.add_argument("--average", type=float, default=0.998)
    parser.add_argument("--columns", type=int, default=18_000)
    parser.add_argument("--validate-every", type=int, default=200)
    parser.add_argument("--seed", type=int, default=31)
    options = parser.parse_args()
    config, initial, _ = load_network(options.init)
    cache = Path(options.cache)
    cache.mkdir(parents=True, exist_ok=True)
    sources, validation, french = [], {}, []
    for name, weight in SETS.items():
        folder = Path(options.handwriting) / name
        parts = {
            part: kept(cache / f"{name}-{part}.samples", lambda f=folder, p=part: real(f, config.characters, p))
            for part in ("train", "val")
        }
        sources.append(Source(parts["train"], weight))
        if len(parts["val"]):
            validation[name] = some(parts["val"], MOST)
        if name not in ("stanford1905", "loc19"):
            french += parts["train"].texts
    found = [path for folder in options.fonts for path in fonts.find(folder)]
    seen = [path for path in found if fonts.family(path) not in fonts.HELD_OUT]
    unseen = [path for path in found if fonts.family(path) in fonts.HELD_OUT]
    english = synthesis.read_texts(options.text)
    cut = len(english) * 9 // 10
    for language, texts, count in (("en", english[:cut], options.count), ("fr", french, options.count // 2)):
        file = cache / f"rendered-{language}-{count}-{options.seed}.samples"
        made = kept(
            file, lambda t=texts, n=count, k=language: rendered(seen, t, config.characters, (1, 9), n, options.seed, k)
        )
        sources.append(Source(made, RENDERED[language]))
    validation["fonts"] = kept(
        cache / "fonts-val.samples", lambda: rendered(unseen, english[cut:], config.characters, (1, 1), 300, 98)
    )
    settings = Settings(
        steps=options.steps,
        columns=options.columns,
        learning_rate=options.learning_rate,
        warm_up=60,
        validate_every=options.validate_every,
        average=options.average,
        decay=options.decay,
        short=0,
        seed=options.seed,
    )
    print(train(config, settings, sources, validation, Path(options.out), initial))


if __name__ == "__main__":
    main()
