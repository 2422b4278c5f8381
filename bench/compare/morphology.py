"""Dilation by everybody, one thread each; results are compared bit for bit."""

import os

import numpy as np

from bench.compare import peers
from bench.compare.measure import Candidate, Row, measure
from fastctc import backends
from fastctc.imaging import footprints
from fastctc.imaging import morphology as ours

FOOTPRINTS = {"3x3": (3, 3), "7x7": (7, 7), "31x31": (31, 31), "disk 15": footprints.disk(15)}


def morphology(seconds: float, quick: bool) -> list[Row]:
    os.environ.setdefault("POCL_AFFINITY", "1")
    rows = []
    for size in (512,) if quick else (512, 2048):
        image = np.random.default_rng(0).integers(0, 255, (size, size), dtype=np.uint8)
        for name, footprint in FOOTPRINTS.items():
            expected = ours.dilation(image, footprint)

            def quality(found, expected=expected) -> Row:
                return {"agreement": float(np.mean(np.asarray(found) == expected))}

            mask = footprints.as_mask(footprint)
            ones = mask.astype(np.uint8)
            candidates = [Candidate("fastctc", "compiled", lambda i=image, f=footprint: ours.dilation(i, f), quality)]
            try:
                backends.load("opencl:cpu", "morphology")
                candidates.append(Candidate("fastctc", "opencl:cpu", lambda i=image, f=footprint:
                    ours.dilation(i, f, backend="opencl:cpu"), quality))  # fmt: skip
            except (ImportError, LookupError) as error:
                print(f"left out: opencl:cpu: {error}", flush=True)
            if cv2 := peers.optional("cv2"):
                candidates.append(Candidate("opencv", "cv2.dilate", lambda i=image, k=ones:
                    cv2.dilate(i, k), quality))  # fmt: skip
            if scipy := peers.optional("scipy.ndimage"):
                how = {"size": footprint} if isinstance(footprint, tuple) else {"footprint": mask}
                candidates.append(Candidate("scipy", "ndimage.grey_dilation", lambda i=image, h=how:
                    scipy.grey_dilation(i, **h, mode="constant"), quality))  # fmt: skip
            if skimage := peers.optional("skimage.morphology"):
                candidates.append(Candidate("scikit-image", "morphology.dilation", lambda i=image, m=mask:
                    skimage.dilation(i, m, mode="min"), quality))  # fmt: skip
            rows += measure("morphology", f"dilation {name}, {size}x{size} uint8", candidates, seconds)
    return rows
