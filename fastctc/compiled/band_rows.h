/* One frame of the lattice of a text, states side by side: loops that compilers turn into vectors.

   The states are two arrays, blanks and labels; label i stands between blanks i - 1 and i. Each array has one place
   before its first and one behind its last. Nothing is summed across lanes, so that the results are the same bits
   whatever the processor. */

#ifndef FASTCTC_BAND_ROWS_H
#define FASTCTC_BAND_ROWS_H

#include "processor.h"

#include <stddef.h>
#include <stdint.h>

/* A module may use only some of the loops. */
#ifdef __GNUC__
#define UNUSED __attribute__((unused))
#else
#define UNUSED
#endif

#define ROW                                                                                                  \
    const double *restrict blanks, const double *restrict labels, double *restrict new_blanks,               \
        double *restrict new_labels, const double *restrict q, const int32_t *restrict symbol,               \
        const double *restrict step, ptrdiff_t n
#define GIVEN blanks, labels, new_blanks, new_labels, q, symbol, step, n

/* Forward sums: q holds the probability of each symbol, the blank first; step is 1 where a label may follow the label
   before it, else 0. */
INLINE void sums(ROW) {
    const double blank = q[0];
    for (ptrdiff_t i = 0; i < n; i++) {
        new_blanks[i] = (blanks[i] + labels[i]) * blank;
        new_labels[i] = (labels[i] + blanks[i - 1] + step[i] * labels[i - 1]) * q[symbol[i]];
    }
}

/* The same for the way back: sums over what follows, this frame included. */
INLINE void sums_back(ROW) {
    const double blank = q[0];
    for (ptrdiff_t i = 0; i < n; i++) {
        new_blanks[i] = (blanks[i] + labels[i + 1]) * blank;
        new_labels[i] = (labels[i] + blanks[i] + step[i + 1] * labels[i + 1]) * q[symbol[i]];
    }
}

/* Best paths: q holds logarithms; step is 0 where a label may follow the label before it, else minus infinity. */
INLINE void bests(ROW) {
    const double blank = q[0];
    for (ptrdiff_t i = 0; i < n; i++) {
        const double skip = labels[i - 1] + step[i];
        const double into_blank = blanks[i] > labels[i] ? blanks[i] : labels[i];
        const double closer = labels[i] > blanks[i - 1] ? labels[i] : blanks[i - 1];
        new_blanks[i] = into_blank + blank;
        new_labels[i] = (closer > skip ? closer : skip) + q[symbol[i]];
    }
}

INLINE double greatest_of(const double *values, ptrdiff_t n) {
    double most[8];
    ptrdiff_t i = 0;
    for (int k = 0; k < 8; k++) most[k] = values[0];
    for (; i + 8 <= n; i += 8)
        for (int k = 0; k < 8; k++) most[k] = values[i + k] > most[k] ? values[i + k] : most[k];
    for (; i < n; i++) most[0] = values[i] > most[0] ? values[i] : most[0];
    for (int k = 1; k < 8; k++) most[0] = most[k] > most[0] ? most[k] : most[0];
    return most[0];
}

#ifdef DISPATCH
AVX2 UNUSED static void sums_avx2(ROW) { sums(GIVEN); }
AVX2 UNUSED static void sums_back_avx2(ROW) { sums_back(GIVEN); }
AVX2 UNUSED static void bests_avx2(ROW) { bests(GIVEN); }
AVX2 static double greatest_avx2(const double *values, ptrdiff_t n) { return greatest_of(values, n); }
AVX512 UNUSED static void sums_avx512(ROW) { sums(GIVEN); }
AVX512 UNUSED static void sums_back_avx512(ROW) { sums_back(GIVEN); }
AVX512 UNUSED static void bests_avx512(ROW) { bests(GIVEN); }
AVX512 static double greatest_avx512(const double *values, ptrdiff_t n) { return greatest_of(values, n); }
#define IN_WIDEST(name, plain, ...)                                          \
    (registers == WITH_AVX512 ? name##_avx512(__VA_ARGS__)                   \
                              : registers == WITH_AVX2 ? name##_avx2(__VA_ARGS__) : plain(__VA_ARGS__))
#else
#define IN_WIDEST(name, plain, ...) plain(__VA_ARGS__)
#endif

INLINE void sum_row(ROW) { IN_WIDEST(sums, sums, GIVEN); }
INLINE void sum_row_back(ROW) { IN_WIDEST(sums_back, sums_back, GIVEN); }
INLINE void max_row(ROW) { IN_WIDEST(bests, bests, GIVEN); }
INLINE double greatest(const double *values, ptrdiff_t n) { return IN_WIDEST(greatest, greatest_of, values, n); }

#endif
