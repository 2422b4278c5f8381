/* One frame of all extensions of a prefix at once, a class each: a loop that compilers turn into vectors. */

#ifndef FASTCTC_PREFIXES_H
#define FASTCTC_PREFIXES_H

#include "processor.h"

#include <stddef.h>

#define ARGUMENTS row, on, n_classes, blank, before, in_label, in_blank, below
#define PARAMETERS                                                                                              \
    const double *row, const double *on, size_t n_classes, double blank, double before, double *restrict in_label, \
        double *restrict in_blank, double *restrict below

INLINE void extended(PARAMETERS) {
    for (size_t c = 0; c < n_classes; c++) {
        double first = row[c] * before;
        double was = in_label[c];
        in_blank[c] = blank * (in_blank[c] + was);
        in_label[c] = first + row[c] * was;
        below[c] += first * on[c];
    }
}

#ifdef DISPATCH
AVX2 static void extended_avx2(PARAMETERS) { extended(ARGUMENTS); }
AVX512 static void extended_avx512(PARAMETERS) { extended(ARGUMENTS); }
#endif

/* row: the frame; on: its ways on; before: probability of the prefix's paths up to the frame before. Of each extension:
   the probability of its paths that end in its last label, in a blank, and of those that go on to another label. */
static void extend_all(PARAMETERS) {
#ifdef DISPATCH
    if (registers == WITH_AVX512) { extended_avx512(ARGUMENTS); return; }
    if (registers == WITH_AVX2) { extended_avx2(ARGUMENTS); return; }
#endif
    extended(ARGUMENTS);
}

#undef ARGUMENTS
#undef PARAMETERS

#endif
