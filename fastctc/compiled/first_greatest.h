/* The first greatest entry of each row of numbers that are mostly not negative, as probabilities are.

   Their bits are compared as integers, which order such numbers alike: compilers turn a search among integers into one
   with vector registers, and one among floats not. */

#ifndef FASTCTC_FIRST_GREATEST_H
#define FASTCTC_FIRST_GREATEST_H

#include "processor.h"
#include <stdint.h>
#include <string.h>

INLINE void find_first_greatest(const float *rows, Py_ssize_t n, Py_ssize_t width, int32_t *best) {
    const int32_t infinite = 0x7F800000;
    for (Py_ssize_t t = 0; t < n; t++, rows += width) {
        int32_t top = INT32_MIN, at = INT32_MAX;
        for (int32_t c = 0; c < width; c++) {
            int32_t bits;
            memcpy(&bits, rows + c, sizeof bits);
            top = bits > top ? bits : top;
        }
        if (top <= 0 || top > infinite || rows[0] != rows[0]) { /* nothing above 0, or NaN: one by one */
            at = 0;
            for (int32_t c = 1; c < width; c++)
                if (rows[c] > rows[at]) at = c;
        } else {
            for (int32_t c = 0; c < width; c++) {
                int32_t bits;
                memcpy(&bits, rows + c, sizeof bits);
                int32_t here = bits == top ? c : INT32_MAX;
                at = here < at ? here : at;
            }
        }
        best[t] = at;
    }
}

static void first_greatest_baseline(const float *rows, Py_ssize_t n, Py_ssize_t width, int32_t *best) {
    find_first_greatest(rows, n, width, best);
}

#ifdef DISPATCH
AVX2 static void first_greatest_avx2(const float *rows, Py_ssize_t n, Py_ssize_t width, int32_t *best) {
    find_first_greatest(rows, n, width, best);
}
#endif

static void first_greatest(const float *rows, Py_ssize_t n, Py_ssize_t width, int32_t *best) {
#ifdef DISPATCH
    if (registers >= WITH_AVX2) {
        first_greatest_avx2(rows, n, width, best);
        return;
    }
#endif
    first_greatest_baseline(rows, n, width, best);
}

#endif
