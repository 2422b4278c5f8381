"""Look for bytes that break what reads files: ``python tests/fuzz/run.py --seconds 60 [TARGET ...]``, or make fuzz.

atheris leads the search by the code that is reached; where it is not installed, the corpus is mutated at random. What
was found lies in fuzz-findings/; once cured, it belongs into tests/fuzz/corpus/TARGET, which the ordinary tests replay.
"""

import argparse
import faulthandler
import random
import resource
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[2]))

CORPUS = Path(__file__).parent / "corpus"
FINDINGS = Path("fuzz-findings")
SLOW = 20  # seconds that no small file may take
MEMORY = 8 << 30
WORDS = (b"0", b"-1", b"9" * 24, b"1e999", b"NaN", b"inf", b"\0", b"\n", b"\xff\xff\xff\xff", b"[[[[", b"\\end\\")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="default: all")
    parser.add_argument("--seconds", type=int, default=60, metavar="N", help="for each target (default: 60)")
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)  # in this process
    options = parser.parse_args()
    if options.one:
        return fuzz(options.targets[0], options.seconds, options.seed)
    failed = []
    for name in options.targets or sorted(folder.name for folder in CORPUS.iterdir()):
        print(f"== {name}", flush=True)
        command = [sys.executable, __file__, "--one", f"--seconds={options.seconds}", f"--seed={options.seed}", name]
        if subprocess.run(command, check=False).returncode:
            failed.append(name)
    if failed:
        print(f"broken: {', '.join(failed)}; the inputs are in {FINDINGS}", file=sys.stderr)
    return 1 if failed else 0


def fuzz(name, seconds, seed):
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    warnings.simplefilter("ignore")
    FINDINGS.mkdir(exist_ok=True)
    try:
        import atheris
    except ImportError:
        return by_mutation(name, seconds, seed)
    with atheris.instrument_imports(include=["fastctc"]):
        from fuzz import targets
    with tempfile.TemporaryDirectory() as folder:
        new = Path(folder) / "corpus"
        new.mkdir()
        limits = [f"-max_total_time={seconds}", f"-timeout={SLOW}", f"-rss_limit_mb={MEMORY >> 20}"]
        quiet = [f"-seed={seed + 1}", "-verbosity=0", "-print_final_stats=1", f"-artifact_prefix={FINDINGS / name}-"]
        arguments = [sys.argv[0], *limits, *quiet, "-max_len=20000", str(new), str(CORPUS / name)]
        atheris.Setup(arguments, lambda content: targets.attempt(name, content, folder) and None)
        atheris.Fuzz()
    return 0


def by_mutation(name, seconds, seed):
    from fuzz import targets

    rng = random.Random(seed)
    corpus = [file.read_bytes() for file in sorted((CORPUS / name).iterdir())]
    corpus = [content for content in corpus if len(content) < 1 << 15] or corpus
    stop, tried, taken = time.monotonic() + seconds, 0, 0
    current = FINDINGS / f"{name}-current"  # what is left of a crash, or of an input that takes too long
    with tempfile.TemporaryDirectory() as folder:
        while time.monotonic() < stop:
            content = mutated(rng, rng.choice(corpus), corpus)
            current.write_bytes(content)
            faulthandler.dump_traceback_later(SLOW, exit=True)
            try:
                taken += targets.attempt(name, content, folder)
            except Exception:
                traceback.print_exc()
                current.rename(FINDINGS / f"{name}-{tried}")
                return 1
            tried += 1
    faulthandler.cancel_dump_traceback_later()
    current.unlink()
    print(f"{tried} inputs, of which {taken} were taken")
    return 0


def mutated(rng, content, corpus):
    """The bytes with a few of them changed, left out, repeated, or taken from elsewhere."""
    content = bytearray(content)
    for _ in range(rng.randint(1, 4)):
        place = rng.randrange(len(content) + 1)
        length = min(len(content) - place, rng.choice((0, 1, 1, 2, 4, 8, 60)))
        other = rng.choice(corpus)
        start = rng.randrange(len(other) + 1)
        content[place : place + length] = rng.choice(
            (
                rng.randbytes(length),
                b"",
                bytes(content[place : place + length]) * rng.choice((2, 3, 50)),
                other[start : start + rng.randint(1, 60)],
                rng.choice(WORDS),
                bytes([content[place] ^ 1 << rng.randrange(8)]) if length else b"0",
            )
        )
    return bytes(content[: rng.choice((len(content), len(content), len(content), rng.randrange(len(content) + 1)))])


if __name__ == "__main__":
    sys.exit(main())
