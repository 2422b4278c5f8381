"""Probability and alignment of a given text."""

from math import inf

import numpy as np

from bench import workloads
from fastctc import BestPath, backends


class Text:
    """The text of a line or of a long sequence, as best path reads it."""

    params = (["100x80", "1000x32"], ["reference", "compiled"])
    param_names = ("frames x classes", "backend")

    @staticmethod
    def takes_seconds(size, backend):
        return backend == "reference" and size != "100x80"

    def setup(self, size, backend):
        workloads.leave_out(self, size, backend)
        n_frames, n_classes = workloads.SIZES[size]
        self.frames = workloads.peaky(n_frames, n_classes).astype(np.float64)
        self.labels = BestPath(workloads.alphabet(n_classes), exact=False).decode(self.frames)[0].labels
        self.blank = n_classes - 1
        self.loss, self.viterbi, self.gradient = (
            backends.load(backend, name) for name in ("loss", "viterbi", "gradient")
        )

    def time_log_probability(self, *_):
        self.loss.log_probability(self.frames, self.labels, self.blank, True)

    def time_forced_align(self, *_):
        self.viterbi.best_alignment(self.frames, self.labels, self.blank, True, inf, inf, 1 << 28, False)

    def time_gradients(self, *_):
        self.gradient.gradients([(self.frames, self.labels)], self.blank, True)

    def time_posteriors(self, *_):
        self.loss.posteriors(self.frames, self.labels, self.blank, True)

    peakmem_posteriors = time_posteriors

    def track_cost(self, *_):
        return -self.loss.log_probability(self.frames, self.labels, self.blank, True)

    track_cost.unit = "nats"
