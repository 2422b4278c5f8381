/* Row scans in portable vectors (GCC, Clang), for the widest registers the processor has; plain loops elsewhere.

   scan_rows_f, scan_rows_d:  the greatest entry of each row, and the first row that is no logarithm of a distribution
   find_bad_f, find_bad_d:    only the latter

   Plain loops do not vectorise here: an argmax is no reduction that compilers know, and exp is a call. */

#ifndef FASTCTC_ROWS_H
#define FASTCTC_ROWS_H

#include "processor.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

#define JOIN_(a, b) a##_##b
#define JOIN(a, b) JOIN_(a, b)

/* The slope of exp() in the exponent field of a float, and its zero. The result is between 4 % too small and 2 % too
   great: enough to tell a distribution from anything else. A row whose rough sum is not clearly within LEAST_SUM and
   MOST_SUM, these errors taken into account, is summed exactly. */
#define EXP_SLOPE 12102203.2f
#define EXP_ZERO 1064866805.0f
#define EXP_LOWEST -80.0f
#define SUM_SURELY_ABOVE 0.55f
#define SUM_SURELY_BELOW 1.42f
#define HIGHEST 1e-3f
#define LEAST_SUM 0.5
#define MOST_SUM 1.5

#if defined(__GNUC__) && (defined(__clang__) || __GNUC__ >= 12)
#define VECTORS 1
#endif
#ifdef DISPATCH
#include <immintrin.h>
#endif

#define SUFFIX f
#define REAL float
#define INDEX int32_t
#define LANES 4
#include "rows_template.h"
#undef SUFFIX
#undef LANES

#ifdef DISPATCH
#define SUFFIX f_avx2
#define LANES 8
#define TARGET AVX2
#define MAX_INSTRUCTION(a, b) (reals)_mm256_max_ps((__m256)(a), (__m256)(b))
#define MAX_FLOATS_INSTRUCTION(a, b) (floats)_mm256_max_ps((__m256)(a), (__m256)(b))
#define SIGNS_INSTRUCTION(v) _mm256_movemask_ps((__m256)(v))
#include "rows_template.h"
#undef SUFFIX
#undef LANES
#undef MAX_INSTRUCTION
#undef MAX_FLOATS_INSTRUCTION
#undef SIGNS_INSTRUCTION

#define SUFFIX f_avx512
#define LANES 16
#define TARGET AVX512
#define MAX_INSTRUCTION(a, b) (reals)_mm512_max_ps((__m512)(a), (__m512)(b))
#define MAX_FLOATS_INSTRUCTION(a, b) (floats)_mm512_max_ps((__m512)(a), (__m512)(b))
#define SIGNS_INSTRUCTION(v) _mm512_movepi32_mask((__m512i)(v))
#include "rows_template.h"
#undef SUFFIX
#undef LANES
#undef MAX_INSTRUCTION
#undef MAX_FLOATS_INSTRUCTION
#undef SIGNS_INSTRUCTION
#endif
#undef REAL
#undef INDEX

#define SUFFIX d
#define REAL double
#define INDEX int64_t
#define LANES 2
#include "rows_template.h"
#undef SUFFIX
#undef LANES

#ifdef DISPATCH
#define SUFFIX d_avx2
#define LANES 4
#define TARGET AVX2
#define MAX_INSTRUCTION(a, b) (reals)_mm256_max_pd((__m256d)(a), (__m256d)(b))
#define MAX_FLOATS_INSTRUCTION(a, b) (floats)_mm_max_ps((__m128)(a), (__m128)(b))
#define SIGNS_INSTRUCTION(v) _mm256_movemask_pd((__m256d)(v))
#include "rows_template.h"
#undef SUFFIX
#undef LANES
#undef MAX_INSTRUCTION
#undef MAX_FLOATS_INSTRUCTION
#undef SIGNS_INSTRUCTION

#define SUFFIX d_avx512
#define LANES 8
#define TARGET AVX512
#define MAX_INSTRUCTION(a, b) (reals)_mm512_max_pd((__m512d)(a), (__m512d)(b))
#define MAX_FLOATS_INSTRUCTION(a, b) (floats)_mm256_max_ps((__m256)(a), (__m256)(b))
#define SIGNS_INSTRUCTION(v) _mm512_movepi64_mask((__m512i)(v))
#include "rows_template.h"
#undef SUFFIX
#undef LANES
#undef MAX_INSTRUCTION
#undef MAX_FLOATS_INSTRUCTION
#undef SIGNS_INSTRUCTION
#endif
#undef REAL
#undef INDEX

/* WIDEST is for scans; where rows are only checked, the widest registers cost more to fold than they save. */
#ifdef DISPATCH
#define CHOOSE(name, ...) (registers >= WITH_AVX2 ? name##_avx2(__VA_ARGS__) : name(__VA_ARGS__))
#define CHOOSE_WIDEST(name, ...) (registers >= WITH_AVX512 ? name##_avx512(__VA_ARGS__) : CHOOSE(name, __VA_ARGS__))
#else
#define CHOOSE(name, ...) name(__VA_ARGS__)
#define CHOOSE_WIDEST(name, ...) name(__VA_ARGS__)
#endif

#endif
