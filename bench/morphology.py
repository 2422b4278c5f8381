"""Erosion and dilation: fastctc's backends, and OpenCV, SciPy and scikit-image where they are installed."""

from abc import ABC, abstractmethod

import numpy as np

from bench import workloads
from fastctc.imaging import footprints, morphology

BACKENDS = [*workloads.BACKENDS, "cv2", "scipy", "skimage"]
FOOTPRINTS = {
    "3x3": (3, 3),
    "7x7": (7, 7),
    "31x31": (31, 31),
    "101x101": (101, 101),
    "disk 15": footprints.disk(15),
    "random 15x15": np.random.default_rng(1).random((15, 15)) < 0.4,
}
IMAGES = {
    "uint8 4096": ((4096, 4096), "uint8"),
    "float32 2048": ((2048, 2048), "float32"),
    "uint8 512": ((512, 512), "uint8"),
}


def image(name):
    shape, dtype = IMAGES[name]
    return np.random.default_rng(0).integers(0, 255, shape).astype(dtype)


def dilation(backend, footprint):
    """A function of an image and a place for the result; NotImplementedError where the backend is not there."""
    mask = footprints.as_mask(footprint)
    if backend in ("cv2", "scipy", "skimage"):
        try:
            return _peer(backend, mask)
        except ImportError as error:
            raise NotImplementedError(f"{backend} is not installed") from error
    workloads.usable(backend, "morphology")
    return lambda source, out: morphology.dilation(source, footprint, out=out, backend=backend)


def _peer(name, mask):
    if name == "cv2":
        import cv2

        cv2.setNumThreads(1)
        kernel = mask.astype(np.uint8)
        return lambda source, out: cv2.dilate(source, kernel, dst=out)
    if name == "scipy":
        from scipy import ndimage

        size = mask.shape if mask.all() else None
        return lambda source, out: ndimage.grey_dilation(source, size, None if size else mask, output=out)
    from skimage import morphology as peer

    footprint = peer.footprint_rectangle(mask.shape, decomposition="separable") if mask.all() else mask
    return lambda source, out: peer.dilation(source, footprint, out=out)


def one_by_one(run):
    def run_each(images, outs):
        for source, out in zip(images, outs, strict=True):
            run(source, out)

    return run_each


class Dilating(ABC):
    """Time and memory of a dilation, and how many pixels are not as the compiled code makes them."""

    @abstractmethod
    def setup(self, *_):
        """Make ``self.run``, ``self.footprint``, ``self.image`` and ``self.out``; run it once."""

    def time_dilation(self, *_):
        self.run(self.image, self.out)

    peakmem_dilation = time_dilation

    def track_unequal(self, *_):
        self.run(self.image, self.out)
        return float(np.mean(self.out != morphology.dilation(self.image, self.footprint)))

    track_unequal.unit = "share of pixels"


class Dilation(Dilating):
    """One dilation; the yardstick of the reference and of slow peers is the small image only."""

    params = (list(FOOTPRINTS), BACKENDS, list(IMAGES))
    param_names = ("footprint", "backend", "image")

    @staticmethod
    def takes_seconds(footprint, backend, name):
        slow = backend in ("reference", "scipy", "skimage")
        return (slow and name != "uint8 512") or (backend == "reference" and footprint not in ("3x3", "7x7"))

    def setup(self, footprint, backend, name):
        workloads.leave_out(self, footprint, backend, name)
        self.footprint = FOOTPRINTS[footprint]
        self.run = dilation(backend, self.footprint)
        self.image = image(name)
        self.out = np.empty_like(self.image)
        self.run(self.image, self.out)


class Width(Dilating):
    """Squares of growing width on 1024 x 1024 pixels: whose cost grows with the square?"""

    params = ([3, 5, 9, 15, 31, 63, 127], [b for b in BACKENDS if b != "reference"])
    param_names = ("width", "backend")

    def setup(self, width, backend):
        self.footprint = width
        self.run = dilation(backend, width)
        self.image = np.random.default_rng(0).integers(0, 255, (1024, 1024), dtype=np.uint8)
        self.out = np.empty_like(self.image)
        self.run(self.image, self.out)


class Lines(Dilating):
    """64 lines of 64 x 1024: in one call, or one after the other."""

    params = (["compiled", "opencl:cpu", "opencl:gpu", "cv2"],)
    param_names = ("backend",)

    def setup(self, backend):
        self.footprint = 3
        self.run = dilation(backend, self.footprint)
        if backend == "cv2":
            self.run = one_by_one(self.run)
        self.image = np.random.default_rng(0).integers(0, 255, (64, 64, 1024), dtype=np.uint8)
        self.out = np.empty_like(self.image)
        self.run(self.image, self.out)


class Reconstruction:
    """What touches the border of a noisy page, 1000 x 1000."""

    params = (["compiled", "skimage"],)
    param_names = ("backend",)

    def setup(self, backend):
        rng = np.random.default_rng(0)
        self.mask = rng.integers(0, 255, (1000, 1000), dtype=np.uint8)
        self.seed = np.minimum(self.mask, morphology.erosion(self.mask, 5))
        self.run = morphology.reconstruction
        if backend == "skimage":
            try:
                from skimage.morphology import reconstruction
            except ImportError as error:
                raise NotImplementedError("skimage is not installed") from error
            self.run = reconstruction

    def time_reconstruction(self, *_):
        self.run(self.seed, self.mask)

    peakmem_reconstruction = time_reconstruction

    def track_unequal(self, *_):
        found = self.run(self.seed, self.mask)
        return float(np.mean(found != morphology.reconstruction(self.seed, self.mask)))

    track_unequal.unit = "share of pixels"
