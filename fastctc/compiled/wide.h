/* Numbers that no double can hold: a double with an exponent beside it. Sums and products round as those of doubles do. */

#ifndef FASTCTC_WIDE_H
#define FASTCTC_WIDE_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>

/* value * 2**(512 steps), value from 2**-256 to below 2**256; or 0. */
typedef struct {
    double value;
    int64_t steps;
} Wide;

#define UP 0x1p512
#define DOWN 0x1p-512

static inline Wide widen(double value, int64_t steps) {
    Wide result;
    if (!(value > 0.0)) {
        value = 0.0;
        steps = -((int64_t)1 << 60);
    } else {
        for (int i = 0; i < 2 && value < 0x1p-256; i++, steps--) value *= UP; /* no double needs more than two */
        for (int i = 0; i < 2 && value >= 0x1p256; i++, steps++) value *= DOWN;
    }
    result.value = value;
    result.steps = steps;
    return result;
}

static inline Wide times(Wide a, Wide b) { return widen(a.value * b.value, a.steps + b.steps); }

static inline Wide plus(Wide a, Wide b) {
    if (a.steps == b.steps) return widen(a.value + b.value, a.steps);
    if (a.steps < b.steps) {
        Wide c = a;
        a = b;
        b = c;
    }
    return a.steps - b.steps == 1 ? widen(a.value + b.value * DOWN, a.steps) : a; /* what is further below is lost */
}

static inline double log_of(Wide a) {
    return a.value > 0.0 ? log(a.value) + (double)a.steps * (512 * 0.693147180559945309417) : -INFINITY;
}

/* find_ways_on, of frames that are doubles. */
static void find_wide_ways_on(const double *y, size_t n_frames, size_t n_classes, size_t blank, Wide *result) {
    Wide after_blank = widen(0.0, 0), none = after_blank;
    for (size_t c = 0; c < n_classes; c++)
        result[(n_frames - 1) * n_classes + c] = none;
    for (size_t t = n_frames - 1; t > 0; t--) {
        const double *row = y + t * n_classes;
        const Wide *later = result + t * n_classes;
        Wide *on = result + (t - 1) * n_classes;
        double rest = 0.0, most = 0.0, everything;
        Wide stops = times(widen(row[blank], 0), after_blank);
        for (size_t c = 0; c < n_classes; c++) {
            double p = c == blank ? 0.0 : row[c];
            rest += p < most ? p : most;
            most = p > most ? p : most;
        }
        everything = rest + most;
        for (size_t c = 0; c < n_classes; c++) {
            double others = row[c] == most ? rest : everything - row[c];
            on[c] = c == blank ? none : plus(widen(others, 0), plus(times(widen(row[c], 0), later[c]), stops));
        }
        after_blank = plus(widen(everything, 0), stops);
    }
}

/* Of the empty prefix: the paths up to each frame that end in a blank, and in its last label, which it has not. */
static void find_wide_blanks(const double *y, size_t n_frames, size_t n_classes, size_t blank, Wide *blanks) {
    Wide product = widen(1.0, 0);
    for (size_t t = 0; t < n_frames; t++) {
        product = times(product, widen(y[t * n_classes + blank], 0));
        blanks[t] = product;
        blanks[n_frames + t] = widen(0.0, 0);
    }
}

/* The same of a prefix with one label more. above, result: blanks and labels, of n_frames each; above_is_empty: whether
   the label may stand in the first frame; repeats: whether it is the one before it. Returns the logarithms of the
   probability of the whole text, of all that go on from it, and the most that a single one of these may have. */
static void find_wide_extension(
    const double *y, const Wide *on, const Wide *later, size_t n_frames, size_t n_classes, size_t blank, size_t label,
    int above_is_empty, int repeats, const Wide *above, Wide *result, double *whole, double *below, double *single
) {
    Wide in_label = widen(above_is_empty ? y[label] : 0.0, 0), in_blank = widen(0.0, 0);
    Wide all = times(in_label, on[label]), most = times(in_label, later[0]);
    result[0] = in_blank;
    result[n_frames] = in_label;
    for (size_t t = 1; t < n_frames; t++) {
        Wide p = widen(y[t * n_classes + label], 0), before = above[t - 1], first;
        if (!repeats) before = plus(before, above[n_frames + t - 1]);
        first = times(p, before);
        all = plus(all, times(first, on[t * n_classes + label]));
        most = plus(most, times(first, later[t]));
        in_blank = times(widen(y[t * n_classes + blank], 0), plus(in_blank, in_label));
        in_label = plus(first, times(p, in_label));
        result[t] = in_blank;
        result[n_frames + t] = in_label;
    }
    *whole = log_of(plus(in_label, in_blank));
    *below = log_of(all);
    *single = log_of(most);
}

#undef UP
#undef DOWN

#endif
