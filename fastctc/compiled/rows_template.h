/* Included by rows.h once for each of REAL (float, double) and LANES; INDEX is the integer of REAL's width. */

#ifndef TARGET
#define TARGET
#endif

#ifdef VECTORS

typedef REAL JOIN(reals, SUFFIX) __attribute__((vector_size(LANES * sizeof(REAL))));
typedef REAL JOIN(reals_at, SUFFIX) __attribute__((vector_size(LANES * sizeof(REAL)), aligned(sizeof(REAL))));
typedef INDEX JOIN(indices, SUFFIX) __attribute__((vector_size(LANES * sizeof(REAL))));
typedef float JOIN(floats, SUFFIX) __attribute__((vector_size(LANES * sizeof(float))));
typedef int32_t JOIN(ints, SUFFIX) __attribute__((vector_size(LANES * sizeof(float))));

#define reals JOIN(reals, SUFFIX)
#define indices JOIN(indices, SUFFIX)
#define floats JOIN(floats, SUFFIX)
#define ints JOIN(ints, SUFFIX)
#define LOAD(p) ((reals)*(const JOIN(reals_at, SUFFIX) *)(p))
#define SELECT(type, mask, a, b) ((type)(((mask) & (a)) | (~(mask) & (b))))

/* After FOLD every lane holds the lanes' total under OP. */
#if LANES == 16
#define FOLD(OP, v)                                                                                \
    OP(v, __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7))     \
    OP(v, __builtin_shufflevector(v, v, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11))     \
    OP(v, __builtin_shufflevector(v, v, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13))     \
    OP(v, __builtin_shufflevector(v, v, 1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14))
#elif LANES == 8
#define FOLD(OP, v)                                                        \
    OP(v, __builtin_shufflevector(v, v, 4, 5, 6, 7, 0, 1, 2, 3))           \
    OP(v, __builtin_shufflevector(v, v, 2, 3, 0, 1, 6, 7, 4, 5))           \
    OP(v, __builtin_shufflevector(v, v, 1, 0, 3, 2, 5, 4, 7, 6))
#elif LANES == 4
#define FOLD(OP, v)                                                        \
    OP(v, __builtin_shufflevector(v, v, 2, 3, 0, 1))                       \
    OP(v, __builtin_shufflevector(v, v, 1, 0, 3, 2))
#else
#define FOLD(OP, v) OP(v, __builtin_shufflevector(v, v, 1, 0))
#endif
#define SUM_OF(a, b) a += (b);
#ifdef MAX_INSTRUCTION
#define MAX_OF(a, b) a = MAX_INSTRUCTION(a, b);
/* Does not wait for the comparison; the second operand is what stays, if one is NaN, or they are equal. */
#define LARGER_OF(next, more, most) most = MAX_INSTRUCTION(next, most);
#else
#define LARGER_OF(next, more, most) most = SELECT(reals, more, (indices)next, (indices)most);
#define MAX_OF(a, b) { reals o = (b); indices more = o > a; a = SELECT(reals, more, (indices)o, (indices)a); }
#endif

/* NaN stays what it is. */
#ifdef MAX_FLOATS_INSTRUCTION
#define NOT_BELOW_ZERO(y) y = MAX_FLOATS_INSTRUCTION((floats){0}, y);
#else
#define NOT_BELOW_ZERO(y) { ints low = y < 0.0f; y = (floats)(~low & (ints)y); }
#endif

#define KEEP_MOST(next, here, most, where)                                 \
    {                                                                      \
        indices more = next > most;                                        \
        LARGER_OF(next, more, most)                                        \
        where = SELECT(indices, more, here, where);                        \
    }
/* Negative where y is NaN. On x86 it has become the least integer, as infinity has; on ARM it becomes 0, and infinity the
   greatest integer, whose bits are NaN again. */
#ifdef __x86_64__
#define SIGN_OF_NAN(y, bits) (bits)
#else
#define SIGN_OF_NAN(y, bits) (y != y)
#endif
/* Adds exp(x), roughly. */
#define ADD_EXP(x, sums, signs)                                            \
    {                                                                      \
        floats y = __builtin_convertvector(x, floats) * EXP_SLOPE + EXP_ZERO; \
        NOT_BELOW_ZERO(y)                                                  \
        ints bits = __builtin_convertvector(y, ints);                      \
        signs |= SIGN_OF_NAN(y, bits);                                     \
        sums += (floats)bits;                                              \
    }
#define IS_DOUBTFUL(top, sum) (!((top) <= HIGHEST) || !((sum) > SUM_SURELY_ABOVE && (sum) < SUM_SURELY_BELOW))

#endif

/* Exactly: NaN, above log 1, or no distribution. */
static inline int JOIN(is_bad, SUFFIX)(const REAL *row, Py_ssize_t width)
{
    double sum = 0.0;
    for (Py_ssize_t c = 0; c < width; c++) {
        if (!(row[c] <= HIGHEST)) return 1;
        sum += exp((double)row[c]);
    }
    return !(sum > LEAST_SUM && sum < MOST_SUM);
}

/* The first greatest entry, one by one. */
static inline int32_t JOIN(greatest, SUFFIX)(const REAL *row, Py_ssize_t width, REAL *top)
{
    int32_t at = 0;
    for (int32_t c = 1; c < width; c++)
        if (row[c] > row[at]) at = c;
    *top = row[at];
    return at;
}

/* The index of the first greatest entry of each row goes to best, the sum of these entries to *total; returns the
   first bad row, or -1. */
TARGET static inline Py_ssize_t JOIN(scan_rows, SUFFIX)(
    const REAL *rows, Py_ssize_t n, Py_ssize_t width, int32_t *best, double *total)
{
    Py_ssize_t bad = -1;
    double sum_of_tops = 0.0;
#ifdef VECTORS
    indices lanes;
    floats lowest;
    for (int k = 0; k < LANES; k++) { lanes[k] = k; lowest[k] = EXP_LOWEST; }
#endif
    for (Py_ssize_t t = 0; t < n; t++, rows += width) {
        REAL top;
        int32_t at;
        int doubtful = 1;
#ifdef VECTORS
        if (width >= LANES) {
            reals most = LOAD(rows);
            indices where = lanes, here = lanes;
            floats sums = {0};
            ints signs = {0};
            ADD_EXP(most, sums, signs)
            Py_ssize_t c = LANES;
            for (; c + LANES <= width; c += LANES) {
                here += LANES;
                reals next = LOAD(rows + c);
                KEEP_MOST(next, here, most, where)
                ADD_EXP(next, sums, signs)
            }
            if (c < width) {  /* the last, incomplete stretch: step back, and do not count a few entries twice */
                here += (INDEX)(width - c);
                reals next = LOAD(rows + width - LANES);
                KEEP_MOST(next, here, most, where)
                indices again = lanes < (INDEX)(c - (width - LANES));
                next = SELECT(reals, again, (indices)__builtin_convertvector(lowest, reals), (indices)next);
                ADD_EXP(next, sums, signs)
            }
            reals all = most;
            FOLD(MAX_OF, all)
            top = all[0];
            INDEX places[LANES];
            memcpy(places, &where, sizeof places);
            at = INT32_MAX;
#ifdef SIGNS_INSTRUCTION
            for (int equal = SIGNS_INSTRUCTION((reals)(most == all)); equal; equal &= equal - 1) {
                int k = __builtin_ctz(equal);
                if (places[k] < at) at = (int32_t)places[k];
            }
#else
            REAL tops[LANES];
            memcpy(tops, &most, sizeof tops);
            for (int k = 0; k < LANES; k++)
                if (tops[k] == top && places[k] < at) at = (int32_t)places[k];
#endif
            ints wrong = signs < 0;
            sums = SELECT(floats, wrong, (ints)lowest, (ints)sums);
            FOLD(SUM_OF, sums)
            doubtful = IS_DOUBTFUL(top, sums[0]);
        } else
#endif
        at = JOIN(greatest, SUFFIX)(rows, width, &top);
        if (doubtful) {
            if (bad < 0 && JOIN(is_bad, SUFFIX)(rows, width)) bad = t;
            if (bad >= 0) at = JOIN(greatest, SUFFIX)(rows, width, &top);  /* NaN confuses each width of vectors differently */
        }
        best[t] = at;
        sum_of_tops += (double)top;
    }
    *total = sum_of_tops;
    return bad;
}

/* The first bad row, or -1. */
TARGET static inline Py_ssize_t JOIN(find_bad, SUFFIX)(const REAL *rows, Py_ssize_t n, Py_ssize_t width)
{
#ifdef VECTORS
    floats lowest;
    indices lanes;
    for (int k = 0; k < LANES; k++) { lowest[k] = EXP_LOWEST; lanes[k] = k; }
#endif
    for (Py_ssize_t t = 0; t < n; t++, rows += width) {
        int doubtful = 1;
#ifdef VECTORS
        if (width >= LANES) {
            floats sums = {0};
            ints signs = {0};
            reals most = LOAD(rows);
            ADD_EXP(most, sums, signs)
            Py_ssize_t c = LANES;
            for (; c + LANES <= width; c += LANES) {
                reals next = LOAD(rows + c);
                MAX_OF(most, next)
                ADD_EXP(next, sums, signs)
            }
            if (c < width) {
                reals next = LOAD(rows + width - LANES);
                MAX_OF(most, next)
                indices again = lanes < (INDEX)(c - (width - LANES));
                next = SELECT(reals, again, (indices)__builtin_convertvector(lowest, reals), (indices)next);
                ADD_EXP(next, sums, signs)
            }
            ints wrong = signs < 0;
            sums = SELECT(floats, wrong, (ints)lowest, (ints)sums);
            FOLD(MAX_OF, most)
            FOLD(SUM_OF, sums)
            doubtful = IS_DOUBTFUL(most[0], sums[0]);
        }
#endif
        if (doubtful && JOIN(is_bad, SUFFIX)(rows, width)) return t;
    }
    return -1;
}

#undef reals
#undef indices
#undef floats
#undef ints
#undef LOAD
#undef SELECT
#undef FOLD
#undef SUM_OF
#undef MAX_OF
#undef LARGER_OF
#undef NOT_BELOW_ZERO
#undef KEEP_MOST
#undef ADD_EXP
#undef SIGN_OF_NAN
#undef IS_DOUBTFUL
#undef TARGET
