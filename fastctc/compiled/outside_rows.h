/* Bounds on groups of labels, side by side: one block of frames. */

#ifndef FASTCTC_OUTSIDE_ROWS_H
#define FASTCTC_OUTSIDE_ROWS_H

#include "processor.h"

#include <stddef.h>
#include <stdint.h>

#ifdef _MSC_VER
#define restrict __restrict
#endif

enum { BLOCK = 4, NOTHING = -(1 << 30) };

/* What a frame multiplies a group's bound with, as a logarithm in fixed point: base, and more where the group holds the
   frame's first class, its second, or both. */
typedef struct {
    int32_t first, second; /* bits */
    int32_t base, with_first, with_second, with_both;
} Factor;

#define BOUNDS                                                                                                       \
    const int32_t *restrict from, const int32_t *restrict near, int32_t *restrict to, int32_t *restrict most,        \
        const uint32_t *restrict held, const Factor *restrict factors, ptrdiff_t n
#define GIVEN_BOUNDS from, near, to, most, held, factors, n

/* to = the greater of from and near, times all factors; most keeps what was greatest before. */
INLINE void block(BOUNDS) {
    for (ptrdiff_t i = 0; i < n; i++) {
        int32_t value = from[i] > near[i] ? from[i] : near[i];
        most[i] = most[i] > value ? most[i] : value;
        for (int k = 0; k < BLOCK; k++) {
            const int32_t first = -(int32_t)((held[i] >> factors[k].first) & 1);
            const int32_t second = -(int32_t)((held[i] >> factors[k].second) & 1);
            value += factors[k].base + (first & factors[k].with_first) + (second & factors[k].with_second) +
                     (first & second & factors[k].with_both);
        }
        to[i] = value > NOTHING ? value : NOTHING;
    }
}

#ifdef DISPATCH
AVX2 static void block_avx2(BOUNDS) { block(GIVEN_BOUNDS); }
AVX512 static void block_avx512(BOUNDS) { block(GIVEN_BOUNDS); }
#endif

INLINE void bound_block(BOUNDS) {
#ifdef DISPATCH
    if (registers == WITH_AVX512)
        block_avx512(GIVEN_BOUNDS);
    else if (registers == WITH_AVX2)
        block_avx2(GIVEN_BOUNDS);
    else
#endif
        block(GIVEN_BOUNDS);
}

#endif
