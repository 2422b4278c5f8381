"""The compiled modules; everything else about the package stands in pyproject.toml.

``FASTCTC_DEBUG=1`` builds with bounds checks and with the address and undefined-behaviour sanitizers.
"""

import os
import re
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

DEBUG = os.environ.get("FASTCTC_DEBUG") == "1"

DIRECTIVES = {
    "language_level": 3,
    "boundscheck": DEBUG,
    "wraparound": DEBUG,
    "initializedcheck": DEBUG,
    "cdivision": True,
    "freethreading_compatible": True,
    "autotestdict": False,
    "auto_pickle": False,
}

# By the compiler's kind. No -ffast-math: it breaks -inf and NaN. No contraction either: a fused multiply-add rounds
# differently from the reference, and equal scores must stay equal. No -march: one wheel runs everywhere (processor.h
# chooses where it pays).
FLAGS = {
    "msvc": ["/O2", "/fp:precise", "/std:c11"],  # C11 for restrict
    "unix": ["-O3", "-g0", "-ffp-contract=off"],
}
SANITIZE = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined", "-fno-omit-frame-pointer"]


class Build(build_ext):
    def build_extensions(self) -> None:
        kind = "msvc" if self.compiler.compiler_type == "msvc" else "unix"
        debug = DEBUG and kind == "unix"
        for module in self.extensions:
            module.extra_compile_args = ["-O1", "-g", "-ffp-contract=off", *SANITIZE] if debug else FLAGS[kind]
            module.extra_link_args = SANITIZE if debug else []
        super().build_extensions()


COMPILED = Path("fastctc/compiled")
USES = re.compile(
    r"""^\s*(?:include|cdef extern from|\#include)\s"([\w.]+)"|^from\sfastctc\.compiled\.(\w+)\scimport""", re.M
)


def used_by(source: str) -> list[str]:
    """The headers and declarations that a source needs, directly or through others."""
    found: set[str] = set()
    left = [source]
    while left:
        for header, module in USES.findall((COMPILED / left.pop()).read_text(encoding="utf-8")):
            name = header or f"{module}.pxd"
            if name not in found:
                found.add(name)
                left.append(name)
    return [str(COMPILED / name) for name in sorted(found)]


def extension(name: str) -> Extension:
    module = Extension(
        f"fastctc.compiled.{name}",
        [f"fastctc/compiled/{name}.pyx"],
        depends=used_by(f"{name}.pyx"),
    )
    module.cython_directives = DIRECTIVES
    return module


setup(
    cmdclass={"build_ext": Build},
    ext_modules=[
        extension(name)
        for name in (
            "annotation",
            "arpa",
            "beam_search",
            "best_path",
            "best_path_quality",
            "cut_search",
            "duplex_search",
            "frames",
            "gradient",
            "interrupts",
            "kenlm",
            "label_choice",
            "lexicon",
            "lexicon_model",
            "lexicon_search",
            "loss",
            "metrics",
            "morphology",
            "ngram",
            "outside",
            "path_search",
            "prefix_search",
            "pruned_search",
            "scored_search",
            "spans",
            "spelling",
            "stream",
            "text_graph",
            "token_passing",
            "utterance_path",
            "viterbi",
        )
    ],
)
