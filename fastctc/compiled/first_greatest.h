/* The first greatest entry of each row of numbers that are mostly not negative, as probabilities are.

   Their bits are compared as integers, which order such numbers alike: compilers turn a search among integers into one
   with vector registers, and one among floats not. */

#ifndef FASTCTC_FIRST_GREATEST_H
#define FASTCTC_FIRST_GREATEST_H

#include "processor.h"
#include <stdint.h>
#include <string.h>

/* One by one; NaN is never the greatest, unless it comes first. */
INLINE int32_t first_greatest_of(const float *row, Py_ssize_t width) {
    int32_t at = 0;
    for (int32_t c = 1; c < width; c++)
        if (row[c] > row[at]) at = c;
    return at;
}

#if defined(__GNUC__)
#define LANES_OF_BITS(name, lanes)                                                                                   \
    typedef int32_t name __attribute__((vector_size(4 * lanes)));                                                    \
    INLINE void find_##name(const float *rows, Py_ssize_t n, Py_ssize_t width, int32_t *best) {                      \
        name lanes_of;                                                                                               \
        for (int k = 0; k < lanes; k++) lanes_of[k] = k;                                                             \
        for (Py_ssize_t t = 0; t < n; t++, rows += width) {                                                          \
            name most, next, where = lanes_of, here;                                                                 \
            memcpy(&most, rows, sizeof most);                                                                        \
            for (Py_ssize_t c = lanes; c < width; c += lanes) {                                                      \
                Py_ssize_t from = c + lanes <= width ? c : width - lanes; /* some again, which are not greater */    \
                memcpy(&next, rows + from, sizeof next);                                                             \
                here = lanes_of + (int32_t)from;                                                                     \
                name more = next > most;                                                                             \
                most = (next & more) | (most & ~more);                                                               \
                where = (here & more) | (where & ~more);                                                             \
            }                                                                                                        \
            int32_t tops[lanes], places[lanes];                                                                      \
            memcpy(tops, &most, sizeof tops);                                                                        \
            memcpy(places, &where, sizeof places);                                                                   \
            int32_t top = tops[0], at = places[0];                                                                   \
            for (int k = 1; k < lanes; k++) {                                                                        \
                int first = (tops[k] > top) | ((tops[k] == top) & (places[k] < at));                                 \
                top = first ? tops[k] : top;                                                                         \
                at = first ? places[k] : at;                                                                         \
            }                                                                                                        \
            /* Bits order what is above 0; nothing is, or NaN: one by one. */                                        \
            best[t] = top <= 0 || top > 0x7F800000 || rows[0] != rows[0] ? first_greatest_of(rows, width) : at;      \
        }                                                                                                            \
    }
LANES_OF_BITS(four_bits, 4)
#endif

#ifdef DISPATCH
LANES_OF_BITS(eight_bits, 8)
AVX2 static void first_greatest_avx2(const float *rows, Py_ssize_t n, Py_ssize_t width, int32_t *best) {
    find_eight_bits(rows, n, width, best);
}
#endif

static void first_greatest(const float *rows, Py_ssize_t n, Py_ssize_t width, int32_t *best) {
#ifdef DISPATCH
    if (registers >= WITH_AVX2 && width >= 8) {
        first_greatest_avx2(rows, n, width, best);
        return;
    }
#endif
#if defined(__GNUC__)
    if (width >= 4) {
        find_four_bits(rows, n, width, best);
        return;
    }
#endif
    for (Py_ssize_t t = 0; t < n; t++) best[t] = first_greatest_of(rows + t * width, width);
}

#endif
