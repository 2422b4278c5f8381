/* Included by log_softmax.h once for each of REAL (float, double) and TARGET; INDEX is the integer of REAL's width. */

#ifndef TARGET
#define TARGET
#endif

#ifdef VECTORS

#define PARTS (64 / BYTES) /* registers */
#define WIDTH (BYTES / (int)sizeof(REAL))

typedef REAL JOIN(reals, SUFFIX) __attribute__((vector_size(BYTES)));
typedef REAL JOIN(reals_at, SUFFIX) __attribute__((vector_size(BYTES), aligned(sizeof(REAL))));
typedef INDEX JOIN(indices, SUFFIX) __attribute__((vector_size(BYTES)));

#define reals JOIN(reals, SUFFIX)
#define indices JOIN(indices, SUFFIX)
#define LOAD(p) ((reals)*(const JOIN(reals_at, SUFFIX) *)(p))
#define SELECT(mask, a, b) ((reals)(((mask) & (indices)(a)) | (~(mask) & (indices)(b))))

/* Whether a mask has any bit. */
TARGET INLINE int JOIN(any, SUFFIX)(const indices *mask) {
    uint64_t parts[BYTES / 8], all = 0;
    memcpy(parts, mask, sizeof parts);
    for (int i = 0; i < BYTES / 8; i++) all |= parts[i];
    return all != 0;
}

/* The next entries of a row, of which there are fewer than LANES: what is missing is -inf. */
INLINE const REAL *JOIN(rest, SUFFIX)(const REAL *row, Py_ssize_t n, REAL *into) {
    for (int i = 0; i < LANES; i++) into[i] = i < n ? row[i] : -(REAL)INFINITY;
    return into;
}

/* The greatest of each lane so far; odd where one is NaN. */
TARGET INLINE void JOIN(keep_most, SUFFIX)(const REAL *x, reals *most, indices *odd) {
    for (int i = 0; i < PARTS; i++) {
        reals next = LOAD(x + i * WIDTH);
        indices more = next > most[i];
        most[i] = SELECT(more, next, most[i]);
        *odd |= next != next;
    }
}

TARGET INLINE void JOIN(add_exp, SUFFIX)(const REAL *x, REAL top, reals *sums) {
    for (int i = 0; i < PARTS; i++) {
        reals y = LOAD(x + i * WIDTH) - top, least = {0};
        least += LEAST_EXPONENT;
        indices low = y < least;
        y = SELECT(low, least, y);
        reals k = y * LOG2E + ROUND;
        indices shift = (indices)k << MANTISSA;
        k -= ROUND;
        reals r = y - k * LN2_HIGH - k * LN2_LOW;
        sums[i] += (reals)(~low & ((indices)EXP_SERIES(r) + shift));
    }
}

#endif

/* The greatest entry; NaN if there is one. */
TARGET static REAL JOIN(greatest, SUFFIX)(const REAL *row, Py_ssize_t n) {
    REAL top = -(REAL)INFINITY;
    Py_ssize_t c = 0;
#ifdef VECTORS
    reals most[PARTS];
    indices odd = {0};
    REAL last[LANES], tops[LANES];
    for (int i = 0; i < PARTS; i++) most[i] = (reals){0} - (REAL)INFINITY;
    for (; c + LANES <= n; c += LANES) JOIN(keep_most, SUFFIX)(row + c, most, &odd);
    if (c < n) JOIN(keep_most, SUFFIX)(JOIN(rest, SUFFIX)(row + c, n - c, last), most, &odd);
    if (JOIN(any, SUFFIX)(&odd)) return (REAL)NAN;
    memcpy(tops, most, sizeof tops);
    for (c = 0; c < LANES; c++) top = tops[c] > top ? tops[c] : top;
#else
    for (; c < n; c++) {
        if (row[c] != row[c]) return row[c];
        top = row[c] > top ? row[c] : top;
    }
#endif
    return top;
}

/* The logarithm of the sum of exp(x - top). */
TARGET static REAL JOIN(log_sum, SUFFIX)(const REAL *row, Py_ssize_t n, REAL top) {
    Py_ssize_t c = 0;
    double sum = 0.0;
#ifdef VECTORS
    reals sums[PARTS] = {{0}}, more[PARTS] = {{0}};
    REAL last[LANES], parts[LANES];
    for (; c + 2 * LANES <= n; c += 2 * LANES) {
        JOIN(add_exp, SUFFIX)(row + c, top, sums);
        JOIN(add_exp, SUFFIX)(row + c + LANES, top, more);
    }
    if (c + LANES <= n) {
        JOIN(add_exp, SUFFIX)(row + c, top, sums);
        c += LANES;
    }
    if (c < n) JOIN(add_exp, SUFFIX)(JOIN(rest, SUFFIX)(row + c, n - c, last), top, more);
    for (int i = 0; i < PARTS; i++) sums[i] += more[i];
    memcpy(parts, sums, sizeof parts);
    for (c = 0; c < LANES; c++) sum += parts[c];
#else
    for (; c < n; c++) sum += exp((double)(row[c] - top));
#endif
    return LOG((REAL)sum);
}

/* The entries x for which (x - top) - log_sum is not below a floor; returns how many there are. */
TARGET static int JOIN(not_below, SUFFIX)(
    const REAL *row, Py_ssize_t n, REAL top, REAL log_sum, REAL floor, int32_t *places) {
    Py_ssize_t c = 0, end;
    int found = 0;
    while (c < n) {
        end = n;
#ifdef VECTORS
        if (c + 4 * LANES <= n) {
            indices mask = {0};
            for (int i = 0; i < 4 * PARTS; i++) mask |= LOAD(row + c + i * WIDTH) - top - log_sum >= floor;
            end = c + 4 * LANES;
            if (!JOIN(any, SUFFIX)(&mask)) {
                c = end;
                continue;
            }
        }
#endif
        for (; c < end; c++)
            if (row[c] - top - log_sum >= floor) places[found++] = (int32_t)c;
    }
    return found;
}

#ifdef VECTORS
#undef reals
#undef indices
#undef LOAD
#undef SELECT
#undef PARTS
#undef WIDTH
#endif
#undef TARGET
