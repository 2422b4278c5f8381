"""Decoders without a lexicon: time, memory, and the cost, the negative score, of what is found.

asv takes less for better, and ratios of what it tracks: costs and shares of errors, never scores.
"""

import numpy as np

from bench import workloads
from bench.base import DecoderBenchmark
from fastctc import BeamSearch, BestPath, NGram, PrefixSearch

BACKENDS = ["reference", "compiled"]
FRAMES = {"peaky": workloads.peaky, "flat": workloads.flat}


class BestPathOne(DecoderBenchmark):
    """One sequence; numpy.argmax over the same array is the yardstick."""

    params = (list(workloads.SIZES), [*workloads.BACKENDS, "numpy.argmax"])
    param_names = ("frames x classes", "backend")

    def setup(self, size, backend):
        self.frames = workloads.peaky(*workloads.SIZES[size])
        if backend == "numpy.argmax":
            self.decode = lambda frames: np.argmax(frames, axis=1)
            return
        workloads.usable(backend, "best_path")
        self.decode = BestPath(workloads.alphabet(self.frames.shape[1]), exact=False, backend=backend).decode

    def track_cost(self, _, backend):
        if backend == "numpy.argmax":
            return -float(self.frames.max(axis=1).sum(dtype=float))
        return super().track_cost()


class BestPathBatch(DecoderBenchmark):
    """Lines of 100 frames and 80 classes."""

    params = ([1, 8, 64, 512], [*workloads.BACKENDS, "numpy.argmax"])
    param_names = ("batch", "backend")

    @staticmethod
    def takes_seconds(size, backend):
        return backend == "reference" and size == 512

    def setup(self, size, backend):
        workloads.leave_out(self, size, backend)
        self.frames = workloads.batch(size)
        if backend == "numpy.argmax":
            self.decode = lambda frames: np.argmax(frames, axis=2)
            return
        workloads.usable(backend, "best_path")
        self.decode = BestPath(workloads.alphabet(80), exact=False, backend=backend).decode_batch

    def track_cost(self, _, backend):
        if backend == "numpy.argmax":
            return -float(self.frames.max(axis=2).sum(dtype=float)) / len(self.frames)
        return -float(np.mean([line[0].score for line in self.decode(self.frames)]))

    track_cost.unit = "nats a line"


class BeamSearchWidth(DecoderBenchmark):
    """A line of 100 frames and 80 classes; ``exact`` adds the true probability, alignment and words of the result."""

    params = ([10, 25, 100], BACKENDS, ["peaky", "flat"], [False, True])
    param_names = ("beam width", "backend", "frames", "exact")

    @staticmethod
    def takes_seconds(beam_width, backend, _kind, _exact):
        return backend == "reference" and beam_width > 10

    def setup(self, beam_width, backend, kind, exact):
        workloads.leave_out(self, beam_width, backend, kind, exact)
        self.frames = FRAMES[kind](100, 80)
        self.decode = BeamSearch(workloads.alphabet(80), beam_width, exact=exact, backend=backend).decode


class BeamSearchLength(DecoderBenchmark):
    """The memory grows with frames times beam width, not with the classes."""

    params = ([1000, 4000, 16000], [32, 512])
    param_names = ("frames", "classes")

    def setup(self, n_frames, n_classes):
        self.frames = workloads.peaky(n_frames, n_classes)
        self.decode = BeamSearch(workloads.alphabet(n_classes), 25, exact=False).decode


class CharacterModel(DecoderBenchmark):
    """A line of 100 frames and 80 classes, weighed by an n-gram model of its characters; order 0 is none."""

    params = ([10, 25, 100], [0, 2, 5])
    param_names = ("beam width", "order")

    def setup(self, beam_width, order):
        self.frames = workloads.peaky(100, 80)
        alphabet = workloads.alphabet(80)
        lm = NGram.train(workloads.text(alphabet.characters), order, vocabulary=alphabet.characters) if order else None
        self.decode = BeamSearch(alphabet, beam_width, lm=lm, exact=False).decode


class PrefixSearchSections(DecoderBenchmark):
    """A line of 100 frames and 80 classes, cut at sure blanks."""

    params = (BACKENDS,)
    param_names = ("backend",)

    def setup(self, backend):
        self.frames = workloads.peaky(100, 80)
        self.decode = PrefixSearch(workloads.alphabet(80), split=0.9, exact=False, backend=backend).decode


class Stream:
    """Pieces of 100 frames, each committed: neither time a piece nor memory depends on how many came before."""

    params = ([10, 100, 400], [False, True])
    param_names = ("pieces", "exact")

    def setup(self, _, exact):
        self.pieces = [workloads.peaky(100, 32, seed) for seed in range(1, 11)]
        self.decoder = BeamSearch(workloads.alphabet(32), 25, exact=exact)

    def decode(self, n_pieces, _):
        stream = self.decoder.stream()
        for number in range(n_pieces):
            stream.push(self.pieces[number % len(self.pieces)])
            stream.commit()
        return stream.finish()

    time_decode = peakmem_decode = decode

    def track_cost(self, *parameters):
        """All committed: the score is that of the pieces, however they were cut."""
        return -self.decode(*parameters)[0].score

    track_cost.unit = "nats"
