"""Alignment of long recordings, and what hypotheses of long utterances tell about themselves."""

import numpy as np

from bench import workloads
from fastctc import Alphabet, BestPath, backends, forced_align

LETTERS = Alphabet("abcdefghijklmnopqrstuvwxyz .,?!", blank=0)


class Recording:
    """A text with 8 % wrong frames, frames of 20 ms; a label in every third or so."""

    params = ([1, 10],)
    param_names = ("minutes",)

    def setup(self, minutes):
        self.frames, self.labels, self.starts = workloads.recording(minutes * 3000)

    def _search(self, prove):
        return backends.load("compiled", "viterbi").best_alignment(
            self.frames, self.labels, 0, True, 1000.0, 1e12, 256 << 20, prove
        )

    def time_search(self, *_):
        self._search(False)

    def time_search_with_bound(self, *_):
        self._search(True)

    def time_forced_align(self, *_):
        forced_align(self.frames, self.labels, LETTERS)

    peakmem_forced_align = time_forced_align

    def track_labels_off(self, *_):
        return float(np.mean(np.abs(np.array(self._search(False)[1]) - self.starts) > 1))

    track_labels_off.unit = "share more than a frame off"


class Speaker:
    """A text that its recording leaves out and goes beyond here and there: the graph of words."""

    params = ([4, 40],)
    param_names = ("paragraphs",)

    def setup(self, n_paragraphs):
        self.spoken = workloads.speaker(n_paragraphs, skipped=0.1, inserted=0.1, repeated=0.02)

    def _align(self):
        return forced_align(self.spoken.frames, self.spoken.text, workloads.SPEAKER, skip_text=2.0, skip_audio=2.0)

    def time_skips(self, *_):
        self._align()

    peakmem_skips = time_skips

    def track_words_off(self, *_):
        """Of the words that are said, those that do not come out within a frame."""
        found = np.array([word.first if word.n_frames else -9 for word in self._align().words])
        off = np.abs(found[:, None] - self.spoken.starts).min(axis=1)
        return float(np.mean(off[self.spoken.starts[:, 0] >= 0] > 1))

    track_words_off.unit = "share more than a frame off"


class Utterance:
    """The default numbers of a hypothesis."""

    params = ([100, 1500, 6000],)
    param_names = ("frames",)

    def setup(self, n_frames):
        self.frames = workloads.peaky(n_frames, 33)
        self.decoder = BestPath(workloads.alphabet(33))

    def time_exact_numbers(self, *_):
        self.decoder.decode(self.frames)

    peakmem_exact_numbers = time_exact_numbers

    def track_bound(self, *_):
        return self.decoder.decode(self.frames)[0].bound

    track_bound.unit = "nats"
