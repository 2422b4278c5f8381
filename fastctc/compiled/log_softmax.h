/* Which entries of a row are probable enough, and their log probabilities; see label_choice.pyx.

   All copies take 64 bytes at a time, in as many registers as it needs: the same sums in the same order, hence the same
   bits. */

#ifndef FASTCTC_LOG_SOFTMAX_H
#define FASTCTC_LOG_SOFTMAX_H

#include "processor.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

#define JOIN_(a, b) a##_##b
#define JOIN(a, b) JOIN_(a, b)

#if defined(__GNUC__) && (defined(__clang__) || __GNUC__ >= 12)
#define VECTORS 1
#endif

/* exp(x) = 2^k exp(r), k the integer next to x / ln 2, |r| <= ln 2 / 2: by the series, whose rest is below half a unit in
   the last place. LN2_HIGH has so few digits that k LN2_HIGH is exact. Adding ROUND leaves k in the lowest bits. */
#define REAL float
#define INDEX int32_t
#define LANES 16
#define LOG2E 1.44269504f
#define ROUND 12582912.0f
#define LN2_HIGH 0.693359375f
#define LN2_LOW -2.12194440e-4f
#define LEAST_EXPONENT -87.0f
#define MANTISSA 23
#define EXP_SERIES(r) \
    (1 + r * (1 + r * (1.f / 2 + r * (1.f / 6 + r * (1.f / 24 + r * (1.f / 120 + r * (1.f / 720)))))))
#define LOG logf
#define SUFFIX f
#define BYTES 16
#include "log_softmax_template.h"
#undef SUFFIX
#undef BYTES
#ifdef DISPATCH
#define SUFFIX f_avx2
#define BYTES 32
#define TARGET AVX2
#include "log_softmax_template.h"
#undef SUFFIX
#undef BYTES
#define SUFFIX f_avx512
#define BYTES 64
#define TARGET AVX512
#include "log_softmax_template.h"
#undef SUFFIX
#undef BYTES
#endif
#undef REAL
#undef INDEX
#undef LANES
#undef LOG2E
#undef ROUND
#undef LN2_HIGH
#undef LN2_LOW
#undef LEAST_EXPONENT
#undef MANTISSA
#undef EXP_SERIES
#undef LOG

#define REAL double
#define INDEX int64_t
#define LANES 8
#define LOG2E 1.4426950408889634
#define ROUND 6755399441055744.0
#define LN2_HIGH 0.693145751953125
#define LN2_LOW 1.42860682030941723212e-6
#define LEAST_EXPONENT -708.0
#define MANTISSA 52
#define EXP_SERIES(r) \
    (1 + r * (1 + r * (1. / 2 + r * (1. / 6 + r * (1. / 24 + r * (1. / 120 + r * (1. / 720 + r * (1. / 5040 + \
     r * (1. / 40320 + r * (1. / 362880 + r * (1. / 3628800 + r * (1. / 39916800 + r * (1. / 479001600 + \
     r * (1. / 6227020800))))))))))))))
#define LOG log
#define SUFFIX d
#define BYTES 16
#include "log_softmax_template.h"
#undef SUFFIX
#undef BYTES
#ifdef DISPATCH
#define SUFFIX d_avx2
#define BYTES 32
#define TARGET AVX2
#include "log_softmax_template.h"
#undef SUFFIX
#undef BYTES
#define SUFFIX d_avx512
#define BYTES 64
#define TARGET AVX512
#include "log_softmax_template.h"
#undef SUFFIX
#undef BYTES
#endif

#ifdef DISPATCH
#define CHOOSE(name, ...) \
    (registers >= WITH_AVX512 ? name##_avx512(__VA_ARGS__) : registers >= WITH_AVX2 ? name##_avx2(__VA_ARGS__) \
                                                                                    : name(__VA_ARGS__))
#else
#define CHOOSE(name, ...) name(__VA_ARGS__)
#endif

#endif
