"""From a page to lines and words: time, memory, and how many words are missed."""

import numpy as np

from bench import workloads


class Page:
    """A page of words in the font that comes with Pillow, at known places."""

    params = ([20, 40],)
    param_names = ("lines",)

    def setup(self, lines):
        try:
            from fastctc.imaging.segmentation import segment_page

            self.image, self.truth = workloads.page(lines)
        except ImportError as error:
            raise NotImplementedError(str(error)) from error
        self.run = segment_page

    def time_segment(self, *_):
        self.run(self.image)

    peakmem_segment = time_segment

    def track_words_missed(self, *_):
        found = [word for line in self.run(self.image).lines for word in line.words]
        return float(np.mean([not any(word.iou(other) >= 0.5 for other in found) for word in self.truth]))
