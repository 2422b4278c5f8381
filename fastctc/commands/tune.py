"""Find lm_weight and bonus of a language model, from matrices whose texts are known."""

import json
import sys
from argparse import ArgumentParser, Namespace
from typing import Any

import numpy as np

from fastctc.commands import inputs
from fastctc.commands.align import text_of
from fastctc.commands.lm import read_model
from fastctc.commands.progress import Progress
from fastctc.commands.refusals import refuse
from fastctc.decoders import BeamSearch
from fastctc.decoders.tuning import MEASURES, Trial, tune
from fastctc.lexicon import Lexicon


def add_arguments(parser: ArgumentParser) -> None:
    inputs.add_arguments(parser)
    parser.add_argument(
        "--lm", required=True, metavar="FILE", help="a language model: .arpa, .arpa.gz, KenLM's, or saved"
    )
    parser.add_argument("--unit", choices=("word", "character"), default="word", help="of an ARPA file (%(default)s)")
    parser.add_argument("--words", metavar="FILE", help="the words, one a line (default: those of the model)")
    parser.add_argument(
        "--texts", metavar="FOLDER", help="where the texts are, NAME.txt for NAME.npy (default: beside)"
    )
    parser.add_argument("--beam-width", type=int, default=25, metavar="N", help="default: %(default)s")
    parser.add_argument("--trials", type=int, default=40, metavar="N", help="default: %(default)s")
    parser.add_argument("--measure", choices=MEASURES, default="cer", help="what to make small (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="default: %(default)s")
    parser.set_defaults(text=None)


def run(options: Namespace) -> int:
    try:
        alphabet = inputs.alphabet(options)
        lm = read_model(options.lm, options.unit)
        lexicon = None if options.words is None else Lexicon.from_file(options.words, alphabet, unknown="skip")
        decoder = BeamSearch(alphabet, options.beam_width, lm=lm, lexicon=lexicon)
    except (OSError, ValueError) as error:
        refuse(options, error)
    frames: list[Any] = []
    texts: list[str] = []

    def read(name: str, matrix: dict[str, Any]) -> tuple[Any, str]:
        text = text_of(name, options)
        [(kind, values)] = matrix.items()
        decoder.decode(**matrix)  # refuses frames that are not distributions
        if kind == "probs":
            with np.errstate(divide="ignore"):
                values = np.log(values)
        elif kind == "logits":
            values = values - np.logaddexp.reduce(values, axis=1, keepdims=True)
        return values, text

    def keep(_: str, found: tuple[Any, str]) -> None:
        frames.append(found[0])
        texts.append(found[1])

    status = inputs.each_matrix(options, read, keep)
    if not frames:
        return 1
    with Progress(options.trials, "trials") as progress:

        def report(trial: Trial) -> None:
            with progress.paused():
                if not options.json:
                    values = f"{trial.lm_weight:9.3f} {trial.bonus:9.3f} {trial.cer:8.2%} {trial.wer:8.2%}"
                    print(values, flush=True)
            progress.step()

        if not options.json:
            print("lm_weight     bonus      CER      WER")
        try:
            found = tune(
                decoder,
                frames,
                texts,
                n_trials=options.trials,
                measure=options.measure,
                seed=options.seed,
                threads=options.threads,
                report=report,
            )
        except ValueError as error:
            print(f"fastctc tune: {error}", file=sys.stderr)
            return 1
    if options.json:
        print(json.dumps({"best": found.best._asdict(), "trials": [trial._asdict() for trial in found.trials]}))
    else:
        name = "--character-bonus" if lm.unit == "character" else "--word-bonus"
        best = found.best
        print(f"best: --lm-weight {best.lm_weight:.3f} {name} {best.bonus:.3f}  CER {best.cer:.2%}  WER {best.wer:.2%}")
    return status
