/* Which copy of a loop runs: the one for the widest vector registers that the processor has.

   A wheel is built for every processor of its kind (SSE2 on x86-64, NEON on ARM: the baseline); a loop that gains by it is
   compiled again for AVX2 and AVX-512, and the choice is made when a module is imported. All copies give the same bits.
   FASTCTC_SIMD=baseline, avx2 or avx512 in the environment asks for no more than that, so that one machine can test all. */

#ifndef FASTCTC_PROCESSOR_H
#define FASTCTC_PROCESSOR_H

#include <Python.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__) && (defined(__clang__) || (defined(__GNUC__) && __GNUC__ >= 12))
#define DISPATCH 1
#define AVX2 __attribute__((target("avx2")))
#define AVX512 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl")))
#endif

#ifdef __GNUC__
#define INLINE static inline __attribute__((always_inline)) /* a copy of its own in each of the copies */
#else
#define INLINE static inline
#endif

enum { BASELINE, WITH_AVX2, WITH_AVX512 };

static int registers = BASELINE;

/* Sets registers, and returns their name; NULL with a ValueError if FASTCTC_SIMD names none. */
static const char *choose_registers(void) {
    static const char *const names[] = {"baseline", "avx2", "avx512"};
    const char *wanted = getenv("FASTCTC_SIMD");
    int most = WITH_AVX512;
    if (wanted && *wanted) {
        while (most >= BASELINE && strcmp(wanted, names[most])) most--;
        if (most < BASELINE) {
            PyErr_Format(PyExc_ValueError, "FASTCTC_SIMD must be baseline, avx2 or avx512, got %s", wanted);
            return NULL;
        }
    }
    registers = BASELINE;
#ifdef DISPATCH
    __builtin_cpu_init();
    if (most >= WITH_AVX2 && __builtin_cpu_supports("avx2")) registers = WITH_AVX2;
    if (most >= WITH_AVX512 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        registers = WITH_AVX512;
#endif
    return names[registers];
}

#endif
