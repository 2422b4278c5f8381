/* One frame of all extensions of a prefix at once, a class each: a loop that compilers turn into vectors. */

#ifndef FASTCTC_PREFIXES_H
#define FASTCTC_PREFIXES_H

#include <stddef.h>

#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__) && defined(__linux__)
#define WIDEST __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define WIDEST
#endif

/* row: the frame; before: probability of the prefix's paths up to the frame before. Of each extension: the probability of
   its paths that end in its last label, in a blank, and the sum of those that just arrived at its last label. */
WIDEST static void extend_all(const double *row, size_t n_classes, double blank, double before, double *restrict in_label,
                              double *restrict in_blank, double *restrict arrived) {
    for (size_t c = 0; c < n_classes; c++) {
        double first = row[c] * before;
        double was = in_label[c];
        in_blank[c] = blank * (in_blank[c] + was);
        in_label[c] = first + row[c] * was;
        arrived[c] += first;
    }
}

#endif
