/* What may follow a label, frame by frame: loops that compilers turn into vectors. */

#ifndef FASTCTC_WAYS_ON_H
#define FASTCTC_WAYS_ON_H

#include "processor.h"

#include <stddef.h>

enum { TOGETHER = 4 }; /* frames whose sums run beside each other: one sum waits for each of its additions */

#define ARGUMENTS row, later, n_classes, most, rest, stops, on
#define PARAMETERS                                                                                           \
    const double *row, const double *later, size_t n_classes, double most, double rest, double stops, double *restrict on

/* Of each class in the frame before this one; most, rest: the greatest label here, and the sum of all others. */
INLINE void ways_of_frame(PARAMETERS) {
    for (size_t c = 0; c < n_classes; c++) {
        double others = row[c] == most ? rest : (rest + most) - row[c];
        on[c] = others + (row[c] * later[c] + stops);
    }
}

#ifdef DISPATCH
AVX2 static void ways_of_frame_avx2(PARAMETERS) { ways_of_frame(ARGUMENTS); }
AVX512 static void ways_of_frame_avx512(PARAMETERS) { ways_of_frame(ARGUMENTS); }
#endif

static void find_ways_of_frame(PARAMETERS) {
#ifdef DISPATCH
    if (registers == WITH_AVX512) { ways_of_frame_avx512(ARGUMENTS); return; }
    if (registers == WITH_AVX2) { ways_of_frame_avx2(ARGUMENTS); return; }
#endif
    ways_of_frame(ARGUMENTS);
}

#undef ARGUMENTS
#undef PARAMETERS

/* Rows divided by their sums, which are left in sums. */
static void normalise(const double *probs, size_t n_frames, size_t n_classes, double *restrict y, double *restrict sums) {
    for (size_t start = 0; start < n_frames; start += TOGETHER) {
        const double *rows[TOGETHER];
        double total[TOGETHER] = {0.0};
        for (size_t k = 0; k < TOGETHER; k++) /* the last row stands in for those that are not there */
            rows[k] = probs + (start + k < n_frames ? start + k : n_frames - 1) * n_classes;
        for (size_t c = 0; c < n_classes; c++)
            for (size_t k = 0; k < TOGETHER; k++) total[k] += rows[k][c];
        for (size_t k = 0; k < TOGETHER && start + k < n_frames; k++) {
            sums[start + k] = total[k];
            for (size_t c = 0; c < n_classes; c++) y[(start + k) * n_classes + c] = rows[k][c] / total[k];
        }
    }
}

/* Of the frames t, t - 1 ...: the greatest of some labels, and the sum of all others, added to what is there. */
static inline void add_labels(
    const double *y, size_t t, size_t n_classes, size_t first, size_t stop, double *restrict most, double *restrict rest
) {
    const double *rows[TOGETHER];
    double m[TOGETHER], r[TOGETHER];
    for (size_t k = 0; k < TOGETHER; k++) {
        rows[k] = y + (t > k ? t - k : 0) * n_classes;
        m[k] = most[k];
        r[k] = rest[k];
    }
    for (size_t c = first; c < stop; c++)
        for (size_t k = 0; k < TOGETHER; k++) {
            double p = rows[k][c];
            r[k] += p < m[k] ? p : m[k];
            m[k] = p > m[k] ? p : m[k];
        }
    for (size_t k = 0; k < TOGETHER; k++) {
        most[k] = m[k];
        rest[k] = r[k];
    }
}

/* Twin of ways_on in fastctc.reference.prefix_search, of frames (n_frames, n_classes), as result is. */
static void find_ways_on(const double *y, size_t n_frames, size_t n_classes, size_t blank, double *restrict result) {
    double after_blank = 0.0, most[TOGETHER], rest[TOGETHER];
    if (n_frames == 0)
        return;
    for (size_t c = 0; c < n_classes; c++)
        result[(n_frames - 1) * n_classes + c] = 0.0;
    for (size_t t = n_frames - 1; t > 0; t--) {
        const double *row = y + t * n_classes;
        const double *later = result + t * n_classes;
        double *on = result + (t - 1) * n_classes;
        size_t k = (n_frames - 1 - t) % TOGETHER;
        double stops = row[blank] * after_blank;
        if (k == 0) {
            for (size_t i = 0; i < TOGETHER; i++) most[i] = rest[i] = 0.0;
            add_labels(y, t, n_classes, 0, blank, most, rest);
            add_labels(y, t, n_classes, blank + 1, n_classes, most, rest);
        }
        find_ways_of_frame(row, later, n_classes, most[k], rest[k], stops, on);
        on[blank] = 0.0;
        after_blank = (rest[k] + most[k]) + stops;
    }
}

#endif
