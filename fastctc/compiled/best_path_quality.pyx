"""Twin of fastctc.reference.best_path_quality."""

from cpython.unicode cimport PyUnicode_FromKindAndData
from libc.math cimport floor, log10, logf
from libc.stdint cimport int32_t
from libc.stdlib cimport free, malloc

cdef extern from "processor.h":
    const char *choose_registers() except NULL

cdef extern from "first_greatest.h":
    void first_greatest(const float *, Py_ssize_t, Py_ssize_t, int32_t *) noexcept nogil

REGISTERS = choose_registers().decode("ascii")  # whose copies of the loops run

NO_SUCH_STATE = "state {} must be below the number of states, {}"

cdef Py_ssize_t KEEP = 1 << 17  # probabilities; a shorter pass keeps the GIL, since to get it back may take longer


cdef void refuse_shape(Py_ssize_t n_frames, Py_ssize_t n_classes) except *:
    if n_classes < 1:
        raise ValueError("probs must have at least one class, got 0")
    if n_frames > 0x7FFFFFFF or n_classes > 0x7FFFFFFF:
        raise ValueError(f"probs must have fewer than 2**31 frames and classes, got {n_frames} and {n_classes}")


cdef int32_t *find_winners(const float[:, ::1] probs) except NULL:
    """The class of each frame, to be freed."""
    cdef int32_t *winners
    refuse_shape(probs.shape[0], probs.shape[1])
    winners = <int32_t *> malloc((probs.shape[0] + 1) * sizeof(int32_t))
    if winners is NULL:
        raise MemoryError()
    if probs.shape[0] * probs.shape[1] < KEEP:
        if probs.shape[0]:
            first_greatest(&probs[0, 0], probs.shape[0], probs.shape[1], winners)
    else:
        with nogil:
            first_greatest(&probs[0, 0], probs.shape[0], probs.shape[1], winners)
    return winners


def best_path_text(
    const float[:, ::1] probs, str alphabet, bint collapse_repeats, bint with_qualities, float scale, float bias
) -> tuple:
    cdef Py_ssize_t n = probs.shape[0], t, found = 0, i
    cdef int32_t best, previous = 0
    cdef int count = 0
    cdef float total = 0.0
    cdef list frames = []
    cdef int32_t *winners = find_winners(probs)
    cdef Py_UCS4 *text = NULL
    cdef Py_UCS4 *qualities
    try:
        if len(alphabet) != probs.shape[1]:
            raise ValueError(f"alphabet must have {probs.shape[1]} characters, got {len(alphabet)}")
        text = <Py_UCS4 *> malloc((2 * n + 1) * sizeof(Py_UCS4))
        if text is NULL:
            raise MemoryError()
        qualities = text + n
        for t in range(n):
            best = winners[t]
            if best:
                if not (collapse_repeats and best == previous):
                    if with_qualities and count:
                        qualities[found - 1] = quality(total / <float> count, scale, bias)
                    frames.append(t)
                    text[found] = alphabet[best]
                    found += 1
                    total = 0.0
                    count = 0
                total += probs[t, best]
                count += 1
            previous = best
        if with_qualities:
            if count:
                qualities[found - 1] = quality(total / <float> count, scale, bias)
            for i in range(found):
                text[found + i] = qualities[i]
            found *= 2
        return PyUnicode_FromKindAndData(4, text, found), frames
    finally:
        free(winners)
        free(text)


def best_path_means(const float[:, ::1] probs, bint collapse_repeats) -> tuple:
    cdef Py_ssize_t n = probs.shape[0], t
    cdef int32_t best, previous = 0
    cdef float total = 0.0
    cdef int count = 0
    cdef list labels = [], frames = [], means = []
    cdef int32_t *winners = find_winners(probs)
    try:
        for t in range(n):
            best = winners[t]
            if best:
                if not (collapse_repeats and best == previous):
                    if count:
                        means.append(total / <float> count)
                    labels.append(best)
                    frames.append(t)
                    total = 0.0
                    count = 0
                total += probs[t, best]
                count += 1
            previous = best
        if count:
            means.append(total / <float> count)
        return labels, frames, means
    finally:
        free(winners)


def crf_best_path_means(const float[:, :, ::1] probs, Py_ssize_t state) -> tuple:
    cdef Py_ssize_t n = probs.shape[0], n_states = probs.shape[1], n_classes = probs.shape[2], t
    cdef int32_t best
    cdef list labels = [], frames = [], means = []
    refuse_shape(n, n_classes)
    for t in range(n):
        if not 0 <= state < n_states:
            raise ValueError(NO_SUCH_STATE.format(state, n_states))
        first_greatest(&probs[t, state, 0], 1, n_classes, &best)
        if best:
            labels.append(best)
            frames.append(t)
            means.append(probs[t, state, best])
            state = (state * (n_classes - 1)) % n_states + best - 1
    return labels, frames, means


cdef Py_UCS4 quality(float mean, float scale, float bias) except? 0:
    cdef float error = <float> 1.0 - mean, logarithm, value
    cdef double number, rough, rest
    if error < <float> 1e-4:
        error = <float> 1e-4
    # A quick logarithm will do, unless the number is so near the middle of two that roundings decide.
    rough = -4.3429448190325175 * logf(error) * scale + bias + 0.5
    if 1.0 < rough < 10000.0:
        rest = rough - <int> rough
        if 0.01 < rest < 0.99:
            return <Py_UCS4> (33 + <int> rough)
    logarithm = <float> log10(error)
    value = <float> -10.0 * logarithm * scale + bias
    number = min(floor(<double> value + 0.5), 4294967295.0) if value > 0.0 else 0.0
    number += 33.0
    if number > 0x10FFFF or 0xD800 <= number <= 0xDFFF:
        raise ValueError(f"qualities must be numbers of characters, got {int(number)}")
    return <Py_UCS4> <int> number


def quality_string(means, float scale, float bias) -> str:
    return "".join([chr(quality(mean, scale, bias)) for mean in means])
