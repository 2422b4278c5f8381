"""How a batch scales with threads."""

import numpy as np

from bench import workloads
from fastctc import BeamSearch


class Batch:
    """64 lines of 100 frames and 80 classes."""

    params = ([1, 2], [10, 25, 100], [False, True])
    param_names = ("threads", "beam width", "exact")

    def setup(self, _, beam_width, exact):
        self.frames = workloads.batch()
        self.decoder = BeamSearch(workloads.alphabet(80), beam_width, exact=exact)

    def time_decode(self, threads, *_):
        self.decoder.decode_batch(self.frames, threads=threads)

    peakmem_decode = time_decode

    def track_cost(self, threads, *_):
        return -float(np.mean([line[0].score for line in self.decoder.decode_batch(self.frames, threads=threads)]))

    track_cost.unit = "nats a line"
