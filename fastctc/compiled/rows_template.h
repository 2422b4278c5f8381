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
#if LANES == 8
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
#define MAX_OF(a, b) { reals o = (b); indices more = o > a; a = SELECT(reals, more, (indices)o, (indices)a); }
#define MIN_OF(a, b) { indices o = (b); indices less = o < a; a = SELECT(indices, less, o, a); }
#define SUM_OF(a, b) a += (b);

#endif

TARGET static inline double JOIN(argmax_rows, SUFFIX)(const REAL *rows, Py_ssize_t n, Py_ssize_t width, int32_t *best)
{
    double sum = 0.0;
#ifdef VECTORS
    indices lanes, none;
    for (int k = 0; k < LANES; k++) { lanes[k] = k; none[k] = INT32_MAX; }
#endif
    for (Py_ssize_t t = 0; t < n; t++, rows += width) {
        REAL top = rows[0];
        int32_t at = 0;
#ifdef VECTORS
        if (width >= LANES) {
            reals most = LOAD(rows);
            indices where = lanes, here = lanes;
            for (Py_ssize_t c = LANES; c < width; c += LANES) {
                here += LANES;
                if (c + LANES > width) {  /* the last, incomplete stretch: step back, see a few entries twice */
                    here -= (INDEX)(c + LANES - width);
                    c = width - LANES;
                }
                reals next = LOAD(rows + c);
                indices more = next > most;
                most = SELECT(reals, more, (indices)next, (indices)most);
                where = SELECT(indices, more, here, where);
            }
            reals all = most;
            FOLD(MAX_OF, all)
            indices equal = most == all;
            where = SELECT(indices, equal, where, none);
            FOLD(MIN_OF, where)
            top = all[0];
            at = (int32_t)where[0];
        } else
#endif
        for (int32_t c = 1; c < width; c++)
            if (rows[c] > top) { top = rows[c]; at = c; }
        best[t] = at;
        sum += (double)top;
    }
    return sum;
}

TARGET static inline Py_ssize_t JOIN(suspect_row, SUFFIX)(const REAL *rows, Py_ssize_t n, Py_ssize_t width, Py_ssize_t from)
{
#ifdef VECTORS
    floats lowest;
    for (int k = 0; k < LANES; k++) lowest[k] = EXP_LOWEST;
#endif
    for (Py_ssize_t t = from; t < n; t++) {
        const REAL *row = rows + t * width;
        float sum;
#ifdef VECTORS
        floats sums = {0};
        ints bad = {0};
        for (Py_ssize_t c = 0; c < width; c += LANES) {
            floats x;
            if (c + LANES <= width)
                x = __builtin_convertvector(LOAD(row + c), floats);
            else
                for (int k = 0; k < LANES; k++) x[k] = c + k < width ? (float)row[c + k] : EXP_LOWEST;
            bad |= ~(x <= HIGHEST);  /* NaN, +inf, above log 1 */
            ints low = x < lowest;
            x = SELECT(floats, low, (ints)lowest, (ints)x);
            sums += (floats)__builtin_convertvector(x * EXP_SLOPE + EXP_ZERO, ints);
        }
        sums = SELECT(floats, bad, (ints)lowest, (ints)sums);
        FOLD(SUM_OF, sums)
        sum = sums[0];
#else
        sum = 0.0f;
        for (Py_ssize_t c = 0; c < width; c++) {
            float x = (float)row[c], e;
            if (!(x <= HIGHEST)) return t;
            int32_t bits = (int32_t)((x < EXP_LOWEST ? EXP_LOWEST : x) * EXP_SLOPE + EXP_ZERO);
            memcpy(&e, &bits, sizeof e);
            sum += e;
        }
#endif
        if (!(sum > SUM_SURELY_ABOVE && sum < SUM_SURELY_BELOW)) return t;
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
#undef MAX_OF
#undef MIN_OF
#undef SUM_OF
#undef TARGET
