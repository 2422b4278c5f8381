"""The compiled modules; everything else about the package stands in pyproject.toml.

``FASTCTC_DEBUG=1`` builds with bounds checks and with the address and undefined-behaviour sanitizers.
"""

import os
import re
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
            "kenlm",
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
