/* Row scans in portable vectors (GCC, Clang), for the widest registers the processor has; plain loops elsewhere.

   argmax_rows_f, argmax_rows_d:  index of the first greatest entry of each row, sum of the entries so found
   suspect_row_f, suspect_row_d:  first row, from a given one on, that may not be the logarithm of a distribution

   A plain loop does not vectorise here: an argmax is no reduction that compilers know. */

#ifndef FASTCTC_ROWS_H
#define FASTCTC_ROWS_H

#include <stdint.h>
#include <string.h>

#define JOIN_(a, b) a##_##b
#define JOIN(a, b) JOIN_(a, b)

/* Twice the step of exp()'s slope in the exponent field of a float, and its zero, tuned to a relative error of at
   most 3 %: enough to tell a distribution from anything else, as the doubtful rows are summed exactly afterwards. */
#define EXP_SLOPE 12102203.2f
#define EXP_ZERO 1064866805.0f
#define EXP_LOWEST -80.0f
#define SUM_SURELY_ABOVE 0.55f
#define SUM_SURELY_BELOW 1.45f
#define HIGHEST 1e-3f

#if defined(__GNUC__) && (defined(__clang__) || __GNUC__ >= 12)
#define VECTORS 1
#if defined(__x86_64__) && !defined(__AVX2__)
#define DISPATCH 1
#endif
#endif

#define SUFFIX f
#define REAL float
#define INDEX int32_t
#define LANES 4
#include "rows_template.h"
#undef LANES
#ifdef DISPATCH
#undef SUFFIX
#define SUFFIX f_avx2
#define LANES 8
#define TARGET __attribute__((target("avx2")))
#include "rows_template.h"
#undef LANES
#undef TARGET
#endif
#undef SUFFIX
#undef REAL
#undef INDEX

#define SUFFIX d
#define REAL double
#define INDEX int64_t
#define LANES 2
#include "rows_template.h"
#undef LANES
#ifdef DISPATCH
#undef SUFFIX
#define SUFFIX d_avx2
#define LANES 4
#define TARGET __attribute__((target("avx2")))
#include "rows_template.h"
#undef LANES
#undef TARGET
#endif
#undef SUFFIX
#undef REAL
#undef INDEX

#ifdef DISPATCH
#define CHOOSE(name, ...) (__builtin_cpu_supports("avx2") ? name##_avx2(__VA_ARGS__) : name(__VA_ARGS__))
#else
#define CHOOSE(name, ...) name(__VA_ARGS__)
#endif

#endif
