/* Included by morphology.h once for each type T of pixels and each SIDE. Pixels are compared as integers V: WORKING(pixel)
   and back, in place, FINISHED(value); FILL is the pixel outside of a constant border. BETTER(a, b) keeps a unless b wins, IDENTITY never wins. */

#define NAME(name) JOIN(name, SUFFIX, SIDE)
#define LANES ((int)(32 / sizeof(V)))
#define vec NAME(vec)

#ifdef __GNUC__
typedef V vec __attribute__((vector_size(32)));
#define AT(v, i) ((v)[i])
#else
typedef struct { V lane[32 / sizeof(V)]; } vec;
#define AT(v, i) ((v).lane[i])
#endif
#define LOAD(v, p) memcpy(&(v), p, sizeof(vec))
#define STORE(p, v) memcpy(p, &(v), sizeof(vec))
/* Lane by lane: compilers make one instruction of it. */
#define TAKE(a, b) for (int lane_ = 0; lane_ < LANES; lane_++) AT(a, lane_) = BETTER(AT(a, lane_), AT(b, lane_))

/* out[i] = the better of a[i] and b[i], n values, in ascending order: out may be a or b, or b may lie ahead of out. */
INLINE void NAME(pairs)(const V *a, const V *b, V *out, ptrdiff_t n) {
    ptrdiff_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        vec u, v;
        LOAD(u, a + i);
        LOAD(v, b + i);
        TAKE(u, v);
        STORE(out + i, u);
    }
    for (; i < n; i++) out[i] = BETTER(a[i], b[i]);
}

INLINE void NAME(filled)(V *row, V value, ptrdiff_t n) {
    for (ptrdiff_t i = 0; i < n; i++) row[i] = value;
}

/* Row number y of the image, continued to both sides: columns + width - 1 values. */
INLINE void NAME(line)(const T *restrict in, V *restrict row, ptrdiff_t y, const plan_t *plan) {
    const ptrdiff_t width = plan->width, left = plan->left, right = plan->columns - 1 - left;
    const V outside = plan->border == BORDER_CONSTANT ? WORKING(FILL) : IDENTITY;
    const ptrdiff_t from = source_of(y, plan->height, plan->border);
    if (from < 0) {
        NAME(filled)(row, outside, left + width + right);
        return;
    }
    const T *p = in + from * width;
    for (ptrdiff_t x = 0; x < width; x++) row[left + x] = WORKING(p[x]);
    for (ptrdiff_t x = 0; x < left; x++) {
        const ptrdiff_t i = source_of(x - left, width, plan->border);
        row[x] = i < 0 ? outside : row[left + i];
    }
    for (ptrdiff_t x = 0; x < right; x++) {
        const ptrdiff_t i = source_of(width + x, width, plan->border);
        row[left + width + x] = i < 0 ? outside : row[left + i];
    }
}

/* A row of results, from what is compared to what the image holds. */
INLINE void NAME(finish)(V *row, ptrdiff_t width) {
#ifdef FINISHED
    for (ptrdiff_t x = 0; x < width; x++) row[x] = FINISHED(row[x]);
#else
    (void)row;
    (void)width;
#endif
}

/* The windows of a row: out[x] = the best of row[x .. x + columns - 1]; row is used up. */
INLINE void NAME(windows)(V *restrict row, V *restrict out, ptrdiff_t columns, ptrdiff_t width) {
    if (columns == 3) {
        for (ptrdiff_t x = 0; x < width; x++) {
            const V a = BETTER(row[x], row[x + 1]);
            out[x] = BETTER(a, row[x + 2]);
        }
        return;
    }
    ptrdiff_t step = 1, n = width + columns - 1;
    while (2 * step < columns) {
        n -= step;
        NAME(pairs)(row, row + step, row, n);
        step *= 2;
    }
    NAME(pairs)(row, row + columns - step, out, width);
}

/* A few rows: a ring of them, two results at a time from the rows that both need. */
INLINE void NAME(low)(const T *restrict in, V *restrict out, const plan_t *plan, V *restrict row, V *restrict ring) {
    const ptrdiff_t width = plan->width, rows = plan->rows;
    const V *ordered[FEW + 1];
    for (ptrdiff_t y = 0; y < plan->height; y += 2) {
        const int pair = y + 1 < plan->height;
        for (ptrdiff_t j = y ? rows - 1 : 0; j < rows + pair; j++) {
            NAME(line)(in, row, y - plan->top + j, plan);
            NAME(windows)(row, ring + (y + j) % (rows + 1) * width, plan->columns, width);
        }
        for (ptrdiff_t j = 0; j <= rows; j++) ordered[j] = ring + (y + j) % (rows + 1) * width;
        V *above = out + y * width, *below = pair ? above + width : row; /* an odd last row has none below */
        ptrdiff_t x = 0;
        for (; x + LANES <= width; x += LANES) {
            vec a, b, v;
            LOAD(a, ordered[0] + x);
            LOAD(b, ordered[rows] + x);
            for (ptrdiff_t j = 1; j < rows; j++) {
                LOAD(v, ordered[j] + x);
                if (j == 1) { vec w = v; TAKE(w, a); a = w; w = v; TAKE(w, b); b = w; continue; }
                TAKE(a, v);
                TAKE(b, v);
            }
            STORE(above + x, a);
            STORE(below + x, b);
        }
        for (; x < width; x++) {
            V a = ordered[0][x], b = ordered[rows][x];
            for (ptrdiff_t j = 1; j < rows; j++) {
                a = BETTER(a, ordered[j][x]);
                b = BETTER(b, ordered[j][x]);
            }
            above[x] = a;
            below[x] = b;
        }
        NAME(finish)(above, width);
        if (pair) NAME(finish)(below, width);
    }
}

/* Many rows. Rows come in blocks of `rows`. suffix[j] is the best of rows j .. rows - 1 of the block before, prefix the
   best of this block's rows so far; a result is the better of the two. One buffer serves both: a row of this block
   takes the place that its suffix no longer needs. */
INLINE void NAME(high)(const T *restrict in, V *restrict out, const plan_t *plan, V *restrict row,
                              V *restrict prefix, V *restrict suffix) {
    const ptrdiff_t width = plan->width, rows = plan->rows;
    NAME(filled)(suffix, IDENTITY, (rows + 1) * width);
    for (ptrdiff_t k = 0, j = 0; k < plan->height + rows - 1; k++) {
        V *mine = suffix + j * width, *after = mine + width, *o = out + (k - rows + 1) * width;
        NAME(line)(in, row, k - plan->top, plan);
        NAME(windows)(row, mine, plan->columns, width);
        if (j == 0) memcpy(prefix, mine, width * sizeof(V));
        if (k < rows - 1) {
            NAME(pairs)(prefix, mine, prefix, width);
        } else {
            ptrdiff_t x = 0;
            for (; x + LANES <= width; x += LANES) {
                vec u, v;
                LOAD(u, prefix + x);
                LOAD(v, mine + x);
                TAKE(u, v);
                STORE(prefix + x, u);
                LOAD(v, after + x);
                TAKE(u, v);
                STORE(o + x, u);
            }
            for (; x < width; x++) {
                prefix[x] = BETTER(prefix[x], mine[x]);
                o[x] = BETTER(prefix[x], after[x]);
            }
            NAME(finish)(o, width);
        }
        if (++j == rows) {
            j = 0;
            for (ptrdiff_t i = rows - 2; i >= 1; i--)
                NAME(pairs)(suffix + i * width, suffix + (i + 1) * width, suffix + i * width, width);
        }
    }
}

/* A mask. Of every input row, windows of all lengths that the mask's runs have are kept in a ring of rows; a result is
   the best over the runs. levels[l] holds the row's windows of 2^l pixels. */
INLINE void NAME(masked)(const T *restrict in, V *restrict out, const plan_t *plan, V *restrict levels,
                                ptrdiff_t n_levels, V *restrict ring, const V **restrict places) {
    const ptrdiff_t width = plan->width, rows = plan->rows, padded = width + plan->columns - 1, n_runs = plan->n_runs;
    for (ptrdiff_t k = 0; k < plan->height + rows - 1; k++) {
        NAME(line)(in, levels, k - plan->top, plan);
        for (ptrdiff_t l = 1; l < n_levels; l++) {
            const ptrdiff_t step = (ptrdiff_t)1 << (l - 1);
            const V *level = levels + (l - 1) * padded;
            NAME(pairs)(level, level + step, levels + l * padded, padded - 2 * step + 1);
        }
        for (ptrdiff_t q = 0; q < plan->n_lengths; q++) {
            const ptrdiff_t length = plan->lengths[q];
            ptrdiff_t l = 0;
            while (((ptrdiff_t)2 << l) <= length) l++;
            const V *level = levels + l * padded;
            NAME(pairs)(level, level + length - ((ptrdiff_t)1 << l), ring + (q * rows + k % rows) * padded, padded - length + 1);
        }
        const ptrdiff_t y = k - rows + 1;
        if (y < 0) continue;
        for (ptrdiff_t r = 0; r < n_runs; r++) {
            const int32_t *run = plan->runs + 4 * r;
            places[r] = ring + (run[3] * rows + (y + run[0]) % rows) * padded + run[1];
        }
        V *o = out + y * width;
        ptrdiff_t x = 0;
        for (; x + 4 * LANES <= width; x += 4 * LANES) { /* four at a time, so that none waits for the one before */
            vec a, b, c, d, v;
            const V *p = places[0] + x;
            LOAD(a, p);
            LOAD(b, p + LANES);
            LOAD(c, p + 2 * LANES);
            LOAD(d, p + 3 * LANES);
            for (ptrdiff_t r = 1; r < n_runs; r++) {
                p = places[r] + x;
                LOAD(v, p);
                TAKE(a, v);
                LOAD(v, p + LANES);
                TAKE(b, v);
                LOAD(v, p + 2 * LANES);
                TAKE(c, v);
                LOAD(v, p + 3 * LANES);
                TAKE(d, v);
            }
            STORE(o + x, a);
            STORE(o + x + LANES, b);
            STORE(o + x + 2 * LANES, c);
            STORE(o + x + 3 * LANES, d);
        }
        for (; x < width; x++) {
            V best = places[0][x];
            for (ptrdiff_t r = 1; r < n_runs; r++) best = BETTER(best, places[r][x]);
            o[x] = best;
        }
        NAME(finish)(o, width);
    }
}

INLINE int NAME(one)(const T *in, V *out, const plan_t *plan) {
    const ptrdiff_t width = plan->width, padded = width + plan->columns - 1;
    if (plan->n_runs) {
        ptrdiff_t n_levels = 1, longest = 1;
        for (ptrdiff_t q = 0; q < plan->n_lengths; q++)
            if (plan->lengths[q] > longest) longest = plan->lengths[q];
        while (((ptrdiff_t)1 << n_levels) <= longest) n_levels++;
        V *levels = malloc((n_levels + plan->n_lengths * plan->rows) * padded * sizeof(V));
        const V **places = malloc(plan->n_runs * sizeof *places);
        const int done = levels && places ? 0 : -1;
        if (!done) NAME(masked)(in, out, plan, levels, n_levels, levels + n_levels * padded, places);
        free(levels);
        free(places);
        return done;
    }
    V *row = malloc((padded + (plan->rows + 2) * width) * sizeof(V));
    if (!row) return -1;
    if (plan->rows <= FEW) NAME(low)(in, out, plan, row, row + padded);
    else NAME(high)(in, out, plan, row, row + padded, row + padded + width);
    free(row);
    return 0;
}

static int NAME(image)(const T *in, V *out, const plan_t *plan) { return NAME(one)(in, out, plan); }
#ifdef DISPATCH
AVX2 static int JOIN_AVX2(image, SUFFIX, SIDE)(const T *in, V *out, const plan_t *plan) { return NAME(one)(in, out, plan); }
#endif

#undef NAME
#undef LANES
#undef vec
#undef AT
#undef LOAD
#undef STORE
#undef TAKE
