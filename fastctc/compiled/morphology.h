/* Erosion and dilation of one image by a rectangle (window) or by the runs of a mask (runs_of_mask), for four types.

   Whole rows are streamed. Along a row a window of k pixels is made by doubling: after the pass with step s every pixel
   holds the extreme of 2 s pixels, so log2(k) passes do. Down the columns a few rows are compared directly, two output
   rows at a time, which share all but one of their rows; many rows by van Herk's running extremes (1992,
   doi:10.1016/0167-8655(92)90069-C), whose cost does not depend on k. Loops are left to the compiler's vectors. */

#ifndef FASTCTC_MORPHOLOGY_H
#define FASTCTC_MORPHOLOGY_H

#include "processor.h"

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define JOIN_(a, b, c) a##_##b##_##c
#define JOIN(a, b, c) JOIN_(a, b, c)
#define JOIN_AVX2_(a, b, c) a##_##b##_##c##_avx2
#define JOIN_AVX2(a, b, c) JOIN_AVX2_(a, b, c)

enum { BORDER_IGNORE, BORDER_CONSTANT, BORDER_EDGE, BORDER_REFLECT };

/* What to do: sizes of the image, of the footprint and its anchor, the border and what it is filled with. A footprint is
   a full rectangle if n_runs is 0, else runs of set pixels: row, first column, length, number of that length in lengths. */
typedef struct {
    ptrdiff_t height, width, rows, columns, top, left;
    int border;
    double fill;
    const int32_t *runs;
    ptrdiff_t n_runs;
    const int32_t *lengths;
    ptrdiff_t n_lengths;
} plan_t;

#define FEW 7 /* rows that are compared directly */

/* Where index i of a line of n comes from, -1: from nowhere. */
static inline ptrdiff_t source_of(ptrdiff_t i, ptrdiff_t n, int border) {
    if (i >= 0 && i < n) return i;
    if (border == BORDER_EDGE) return i < 0 ? 0 : n - 1;
    if (border == BORDER_REFLECT) {
        i %= 2 * n;
        if (i < 0) i += 2 * n;
        return i < n ? i : 2 * n - 1 - i;
    }
    return -1;
}

/* Floats are compared as integers, which every vector unit has a minimum and a maximum for: with the other bits of the
   negative ones turned over, their bits are in order. NaN becomes the value that never wins, -0 becomes 0. */
#define ORDERED_LEAST ((int32_t)0x807fffff) /* minus infinity */
#define ORDERED_GREATEST 0x7f800000 /* infinity */

INLINE int32_t reordered(int32_t bits) { return bits ^ ((bits >> 31) & 0x7fffffff); }

INLINE int32_t ordered(int32_t bits, int32_t identity) {
    const int32_t v = reordered(bits), number = v + (v == -1); /* -1 is -0 */
    return (bits & 0x7fffffff) > 0x7f800000 ? identity : number;
}

INLINE int32_t bits_of(double x) {
    const float f = (float)x;
    int32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return bits;
}

#define BETTER(a, b) ((b) > (a) ? (b) : (a))
#define WORST(least, greatest) (least)
#define SIDE largest
#include "morphology_side.h"
#undef BETTER
#undef WORST
#undef SIDE

#define BETTER(a, b) ((b) < (a) ? (b) : (a))
#define WORST(least, greatest) (greatest)
#define SIDE smallest
#include "morphology_side.h"
#undef BETTER
#undef WORST
#undef SIDE

#ifdef DISPATCH
#define IMAGE(name, ...) (registers >= WITH_AVX2 ? name##_avx2(__VA_ARGS__) : name(__VA_ARGS__))
#else
#define IMAGE(name, ...) name(__VA_ARGS__)
#endif

/* One image; 0, or -1 if there is no memory. kind is 'B', 'H', 'h' or 'f', as in Python's struct. */
static int extremes_of_image(char kind, int largest, const void *in, void *out, const plan_t *plan) {
    switch (kind) {
        case 'B':
            return largest ? IMAGE(image_u8_largest, in, out, plan) : IMAGE(image_u8_smallest, in, out, plan);
        case 'H':
            return largest ? IMAGE(image_u16_largest, in, out, plan) : IMAGE(image_u16_smallest, in, out, plan);
        case 'h':
            return largest ? IMAGE(image_i16_largest, in, out, plan) : IMAGE(image_i16_smallest, in, out, plan);
        default:
            return largest ? IMAGE(image_f32_largest, in, out, plan) : IMAGE(image_f32_smallest, in, out, plan);
    }
}

#endif
