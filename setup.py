"""The compiled modules; everything else about the package stands in pyproject.toml.

``FASTCTC_DEBUG=1`` builds with bounds checks and with the address and undefined-behaviour sanitizers.
"""

import os
import sys
from pathlib import Path

from setuptools import Extension, setup

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

# No -ffast-math: it breaks -inf and NaN. No contraction either: a fused multiply-add rounds differently from the
# reference, and equal scores must stay equal. No -march: one wheel runs everywhere (target_clones where it pays).
if sys.platform == "win32":
    COMPILE, LINK = ["/O2", "/fp:precise", "/std:c11"], []  # C11 for restrict
elif DEBUG:
    SANITIZE = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined", "-fno-omit-frame-pointer"]
    COMPILE, LINK = ["-O1", "-g", "-ffp-contract=off", "-DFASTCTC_DEBUG", *SANITIZE], SANITIZE
else:
    COMPILE, LINK = ["-O3", "-g0", "-ffp-contract=off"], []


def extension(name: str) -> Extension:
    module = Extension(
        f"fastctc.compiled.{name}",
        [f"fastctc/compiled/{name}.pyx"],
        depends=[str(part) for kind in ("*.h", "*.pxd", "*.pxi") for part in Path("fastctc/compiled").glob(kind)],
        extra_compile_args=COMPILE,
        extra_link_args=LINK,
    )
    module.cython_directives = DIRECTIVES
    return module


setup(
    ext_modules=[
        extension(name)
        for name in (
            "annotation",
            "beam_search",
            "best_path",
            "frames",
            "interrupts",
            "lexicon",
            "lexicon_search",
            "loss",
            "metrics",
            "morphology",
            "ngram",
            "prefix_search",
            "spelling",
            "token_passing",
            "viterbi",
        )
    ]
)
