/* Erosion and dilation: the extreme pixel under a footprint. Twin of fastctc/reference/morphology.py.

   One kernel a program, chosen by its name defined, for a runtime compiles what it finds. For processors, where one
   work-item streams whole rows of a tile (global size: tiles, bands of rows, images; local size 1):

       LOW      a rectangle of few rows: two results at a time from the rows that both need
       HIGH     a rectangle of many rows: van Herk's running extremes, at a cost that does not depend on the height
       MASKED   a mask, by its parts: pairs of windows

   For graphics cards, where a work-group of WIDE x TALL items holds a tile and its surroundings in local memory:

       TILE     a rectangle
       POINTS   a mask, point by point; EACH for one mask and side for every image of a batch (for processors too)

   GEODESIC is one step of reconstruction.

   Defined from outside: T the pixel's type, LARGEST 1 or 0, WORST the value that never wins, FLOATS for float, VN pixels a
   vector, BORDER 0 ignore, 1 constant, 2 edge, 3 reflect; OUTSIDE the pixel there, for 0 and 1. A float that is NaN
   becomes WORST as it is loaded, -0 becomes 0. Vectors are clang's own: vload and vstore are slow on PoCL, images do not
   exist there. */

#if LARGEST
#define BETTER(a, b) ((b) > (a) ? (b) : (a))
#else
#define BETTER(a, b) ((b) < (a) ? (b) : (a))
#endif
#ifdef FLOATS
#define CLEAN(x) ((x) == (x) ? (x) + 0.0f : WORST)
#else
#define CLEAN(x) (x)
#endif

/* Where index i of a line of n comes from; -1: from nowhere. */
inline int source_of(int i, int n) {
    if (i >= 0 && i < n) return i;
#if BORDER == 2
    return i < 0 ? 0 : n - 1;
#elif BORDER == 3
    i %= 2 * n;
    if (i < 0) i += 2 * n;
    return i < n ? i : 2 * n - 1 - i;
#else
    return -1;
#endif
}

#if defined(LOW) || defined(HIGH) || defined(MASKED)

typedef T vec __attribute__((ext_vector_type(VN)));
typedef T loose __attribute__((ext_vector_type(VN), aligned(sizeof(T))));
#define GLOAD(p) ((vec)*(__global const loose *)(p))
#define GSTORE(p, v) (*(__global loose *)(p) = (v))
#define LOAD(p) ((vec)*(__local const loose *)(p))
#define STORE(p, v) (*(__local loose *)(p) = (v))
#define WHOLE(n) (((n) + VN - 1) / VN * VN)
/* From row to row in local memory: not a power of two, or they would drive each other out of the cache. */
#define PITCH(n) (WHOLE(n) + 6 * VN)

#ifdef FLOATS
inline vec CLEANED(vec v) { return v == v ? v + 0.0f : (vec)(WORST); }
#else
#define CLEANED(v) (v)
#endif

inline vec better(vec a, vec b) { return BETTER(a, b); }

/* n pixels of the row y from column x on, which may be outside. */
inline void line(__global const T *image, __local T *row, int y, int x, int n, int width, int height) {
    const int from = source_of(y, height);
    if (from < 0) {
        for (int i = 0; i < n; i += VN) STORE(row + i, (vec)(OUTSIDE));
        return;
    }
    __global const T *p = image + (size_t)from * width + x;
    const int first = min(n, max(0, -x)), last = max(first, min(n, width - x));
    int i = first;
    for (; i + VN <= last; i += VN) {
        STORE(row + i, CLEANED(GLOAD(p + i)));
    }
    for (; i < last; i++) row[i] = CLEAN(p[i]);
#if BORDER < 2
    for (i = 0; i < first; i++) row[i] = OUTSIDE;
    for (i = last; i < n; i++) row[i] = OUTSIDE;
#else
    for (i = 0; i < n; i++)
        if (i < first || i >= last) { const T v = p[source_of(x + i, width) - x]; row[i] = CLEAN(v); }
#endif
}

/* The last vector of a row may not be whole. */
inline void put(__global T *o, __local T *spare, vec v, int left) {
    if (left >= VN) GSTORE(o, v);
    else {
        STORE(spare, v);
        for (int j = 0; j < left; j++) o[j] = spare[j];
    }
}

#endif

#ifdef LOW
/* The windows of a row y from column x on, n of them; row is used up. */
inline void windows(__global const T *image, __local T *row, __local T *to, int y, int x, int n, int width, int height) {
    line(image, row, y, x, n + COLUMNS - 1, width, height);
    int step = 1, m = WHOLE(n) + COLUMNS - 1;
    for (; 2 * step < COLUMNS; step *= 2) {
        m -= step;
        for (int i = 0; i < m; i += VN) STORE(row + i, better(LOAD(row + i), LOAD(row + i + step)));
    }
    for (int i = 0; i < n; i += VN) STORE(to + i, better(LOAD(row + i), LOAD(row + i + COLUMNS - step)));
}

/* A window straight from the image, where it does not hang over the edge. */
inline vec window(__global const T *p) {
    vec v = CLEANED(GLOAD(p));
    #pragma unroll
    for (int k = 1; k < COLUMNS; k++) v = better(v, CLEANED(GLOAD(p + k)));
    return v;
}

/* The same at the left edge, where the windows of p[0] on begin `low` pixels before the row, and at the right edge, where
   those of p[n - VN] on end after it: put together in local memory, of which 2 VN pixels are needed. What stands outside is
   there already if it is always the same. */
inline vec together(__local const T *side) {
    vec v = LOAD(side);
    #pragma unroll
    for (int k = 1; k < COLUMNS; k++) v = better(v, LOAD(side + k));
    return v;
}

inline vec window_left(__global const T *p, __local T *side, int x, int low, int width) {
#if BORDER >= 2
    for (int i = 0; i < low; i++) { const T v = p[source_of(x + i, width) - x]; side[i] = CLEAN(v); }
#endif
    STORE(side + low, CLEANED(GLOAD(p + low)));
    STORE(side + COLUMNS - 1, CLEANED(GLOAD(p + COLUMNS - 1)));
    return together(side);
}

inline vec window_right(__global const T *p, __local T *side, int x, int n, int beyond, int width) {
#if BORDER >= 2
    for (int i = 0; i < beyond; i++) {
        const T v = p[source_of(x + n + COLUMNS - 1 - beyond + i, width) - x];
        side[VN + COLUMNS - 1 - beyond + i] = CLEAN(v);
    }
#endif
    STORE(side, CLEANED(GLOAD(p + n - VN)));
    STORE(side + COLUMNS - 1 - beyond, CLEANED(GLOAD(p + n - VN + COLUMNS - 1 - beyond)));
    return together(side);
}

/* Two results from the windows a and b of their last rows. The ring holds the ROWS - 1 rows before: the oldest, at[0],
   only the first result needs, the others both; a and b go to the two places after them. */
#define BOTH(i, a, b, KEEP)                                                                              \
    {                                                                                                    \
        const vec a_ = a, b_ = b;                                                                        \
        vec shared_ = a_;                                                                                \
        _Pragma("unroll") for (int j = 1; j < ROWS - 1; j++) shared_ = better(shared_, LOAD(ring + at[j] + i)); \
        const vec first_ = ROWS > 1 ? better(shared_, LOAD(ring + at[0] + i)) : a_;                      \
        const vec second_ = ROWS > 1 ? better(shared_, b_) : b_;                                         \
        STORE(ring + at[ROWS - 1] + i, a_);                                                              \
        STORE(ring + at[ROWS] + i, b_);                                                                  \
        KEEP(after + i, second_, n - i);                                                                 \
        KEEP(o + i, first_, n - i);                                                                      \
    }
#define KEEP_WHOLE(p, v, left) GSTORE(p, v)
#define KEEP_PART(p, v, left) put(p, row, v, left)

/* COLUMNS, ROWS: the rectangle, ROWS <= 7; LEFT, TOP: its anchor. row: WHOLE(tile) + COLUMNS + 2 VN pixels,
   ring: ROWS + 1 rows of PITCH(tile), sides: 8 VN. */
__kernel void morphology(__global const T *restrict images, __global T *restrict results, int width, int height,
                         int tile, int band, __local T *row, __local T *ring, __local T *sides) {
    const int x0 = get_group_id(0) * tile, y0 = get_group_id(1) * band;
    if (x0 >= width || y0 >= height) return;
    __global const T *image = images + (size_t)get_group_id(2) * width * height;
    __global T *result = results + (size_t)get_group_id(2) * width * height;
    const int n = min(tile, width - x0), pitch = PITCH(tile), y1 = min(y0 + band, height), x = x0 - LEFT;
    /* windows that do not hang over the edge */
    const int low = max(0, -x), high = min(n, width - x - COLUMNS + 1), beyond = n - high;
    for (int i = 0; i < 8 * VN; i += VN) STORE(sides + i, (vec)(OUTSIDE));
    for (int j = 0; j < ROWS - 1; j++) windows(image, row, ring + j * pitch, y0 - TOP + j, x, n, width, height);
    int oldest = 0;
    for (int y = y0; y < y1; y += 2) {
        const int pair = y + 1 < y1, ya = y - TOP + ROWS - 1;
        int at[ROWS + 1];
        #pragma unroll
        for (int j = 0, s = oldest; j <= ROWS; j++) {
            at[j] = s * pitch;
            s = s == ROWS ? 0 : s + 1;
        }
        oldest = oldest + 2 > ROWS ? oldest + 1 - ROWS : oldest + 2;
        /* an odd last row has no partner: its result is written over that of the row that is not there */
        __global T *o = result + (size_t)y * width + x0, *after = pair ? o + width : o;
        if (COLUMNS > 8 || ya < 0 || ya + pair >= height || high - low < VN + COLUMNS) {
            windows(image, row, ring + at[ROWS - 1], ya, x, n, width, height);
            windows(image, row, ring + at[ROWS], ya + pair, x, n, width, height);
            int i = 0;
            for (; i + VN <= n; i += VN)
                BOTH(i, LOAD(ring + at[ROWS - 1] + i), LOAD(ring + at[ROWS] + i), KEEP_WHOLE)
            if (i < n)
                BOTH(i, LOAD(ring + at[ROWS - 1] + i), LOAD(ring + at[ROWS] + i), KEEP_PART)
            continue;
        }
        __global const T *p = image + (size_t)ya * width + x;
        const int below = pair ? width : 0;
        int i = 0;
        if (low) {
            BOTH(0, window_left(p, sides, x, low, width), window_left(p + below, sides + 2 * VN, x, low, width),
                 KEEP_WHOLE)
            i = VN;
        }
        for (; i + VN <= high; i += VN) BOTH(i, window(p + i), window(p + below + i), KEEP_WHOLE)
        /* the last vectors overlap those before */
        if (i < (beyond ? n - VN : n)) {
            i = high - VN;
            BOTH(i, window(p + i), window(p + below + i), KEEP_WHOLE)
        }
        if (beyond) {
            i = n - VN;
            BOTH(i, window_right(p, sides + 4 * VN, x, n, beyond, width),
                 window_right(p + below, sides + 6 * VN, x, n, beyond, width), KEEP_WHOLE)
        }
    }
}
#endif

#ifdef HIGH
/* Rows come in blocks of `rows`. suffix[j] is the extreme of rows j .. rows - 1 of the block before, prefix that of this
   block's rows so far; a result is the better of the two, and a row takes the place of the suffix that is done with.
   row: WHOLE(tile) + columns + VN pixels, prefix and each of the rows + 1 rows of suffix: PITCH(tile). */
__kernel void morphology(__global const T *restrict images, __global T *restrict results, int width, int height,
                         int tile, int band, int columns, int left, int rows, int top,
                         __local T *row, __local T *prefix, __local T *suffix) {
    const int x0 = get_group_id(0) * tile, y0 = get_group_id(1) * band;
    if (x0 >= width || y0 >= height) return;
    __global const T *image = images + (size_t)get_group_id(2) * width * height;
    __global T *result = results + (size_t)get_group_id(2) * width * height;
    const int n = min(tile, width - x0), pitch = PITCH(tile), y1 = min(y0 + band, height);
    for (int i = 0; i < (rows + 1) * pitch; i += VN) STORE(suffix + i, (vec)(WORST));
    int j = 0;
    for (int k = y0 - top; k < y1 - top + rows - 1; k++) {
        __local T *mine = suffix + j * pitch, *after = mine + pitch;
        line(image, row, k, x0 - left, n + columns - 1, width, height);
        int step = 1, m = WHOLE(n) + columns - 1;
        for (; 2 * step < columns; step *= 2) {
            m -= step;
            for (int i = 0; i < m; i += VN) STORE(row + i, better(LOAD(row + i), LOAD(row + i + step)));
        }
        const int rest = columns - step, y = k + top - rows + 1;
        __global T *o = result + (size_t)y * width + x0;
        for (int i = 0; i < n; i += VN) {
            vec v = better(LOAD(row + i), LOAD(row + i + rest));
            STORE(mine + i, v);
            if (j) v = better(v, LOAD(prefix + i));
            STORE(prefix + i, v);
            if (y >= y0) {
                v = better(v, LOAD(after + i));
                if (i + VN <= n) GSTORE(o + i, v);
                else { /* what the row held from here on is used up */
                    STORE(row, v);
                    for (int l = 0; i + l < n; l++) o[i + l] = row[l];
                }
            }
        }
        if (++j == rows) {
            j = 0;
            for (int l = rows - 2; l >= 1; l--)
                for (int i = 0; i < n; i += VN)
                    STORE(suffix + l * pitch + i, better(LOAD(suffix + l * pitch + i), LOAD(suffix + (l + 1) * pitch + i)));
        }
    }
}
#endif

#ifdef MASKED
/* parts: row, column, kind; kinds: level, apart (fastctc/opencl/covers.py). levels: n_levels rows of pitch pixels, level l
   the row's windows of 2^l pixels; ring: of every kind `rows` rows of pitch; pitch = WHOLE(tile + columns + 4 VN).
   places: one for each part. */
__kernel void morphology(__global const T *restrict images, __global T *restrict results, int width, int height,
                         int tile, int band, int columns, int left, int rows, int top, int pitch,
                         int n_parts, __global const int *restrict parts, int n_kinds, __global const int *restrict kinds,
                         int n_levels, __local T *levels, __local T *ring, __local int *places) {
    const int x0 = get_group_id(0) * tile, y0 = get_group_id(1) * band;
    if (x0 >= width || y0 >= height) return;
    __global const T *image = images + (size_t)get_group_id(2) * width * height;
    __global T *result = results + (size_t)get_group_id(2) * width * height;
    const int n = min(tile, width - x0), y1 = min(y0 + band, height), padded = n + columns - 1;
    int slot = 0;
    for (int k = y0 - top; k < y1 - top + rows - 1; k++) {
        line(image, levels, k, x0 - left, padded, width, height);
        for (int l = 1; l < n_levels; l++) {
            __local const T *level = levels + (l - 1) * pitch;
            const int step = 1 << (l - 1), m = padded - 2 * step + 1;
            for (int i = 0; i < m; i += VN) STORE(levels + l * pitch + i, better(LOAD(level + i), LOAD(level + i + step)));
        }
        for (int q = 0; q < n_kinds; q++) {
            const int l = kinds[2 * q], apart = kinds[2 * q + 1], m = padded - (1 << l) - apart + 1;
            __local const T *level = levels + l * pitch;
            __local T *to = ring + (q * rows + slot) * pitch;
            for (int i = 0; i < m; i += VN) STORE(to + i, better(LOAD(level + i), LOAD(level + i + apart)));
        }
        slot = slot + 1 == rows ? 0 : slot + 1; /* the oldest row, that of the mask's first */
        const int y = k + top - rows + 1;
        if (y < y0) continue;
        for (int r = 0; r < n_parts; r++) {
            int s = slot + parts[3 * r];
            s = s >= rows ? s - rows : s;
            places[r] = (parts[3 * r + 2] * rows + s) * pitch + parts[3 * r + 1];
        }
        __global T *o = result + (size_t)y * width + x0;
        for (int i = 0; i < n; i += 4 * VN) { /* four at a time, so that none waits for the one before */
            __local const T *p = ring + places[0] + i;
            vec a = LOAD(p), b = LOAD(p + VN), c = LOAD(p + 2 * VN), d = LOAD(p + 3 * VN);
            for (int r = 1; r < n_parts; r++) {
                p = ring + places[r] + i;
                a = better(a, LOAD(p));
                b = better(b, LOAD(p + VN));
                c = better(c, LOAD(p + 2 * VN));
                d = better(d, LOAD(p + 3 * VN));
            }
            if (i + 4 * VN <= n) {
                GSTORE(o + i, a);
                GSTORE(o + i + VN, b);
                GSTORE(o + i + 2 * VN, c);
                GSTORE(o + i + 3 * VN, d);
            } else { /* the levels are used up */
                put(o + i, levels, a, n - i);
                put(o + i + VN, levels, b, n - i - VN);
                put(o + i + 2 * VN, levels, c, n - i - 2 * VN);
                put(o + i + 3 * VN, levels, d, n - i - 3 * VN);
            }
        }
    }
}
#endif

#if defined(TILE) || defined(POINTS) || defined(EACH) || defined(GEODESIC)
/* The pixel at (x, y), which may be outside. */
inline T pixel(__global const T *image, int x, int y, int width, int height) {
    const int u = source_of(x, width), v = source_of(y, height);
    if (u < 0 || v < 0) return OUTSIDE;
    const T p = image[(size_t)v * width + u];
    return CLEAN(p);
}
#endif

#ifdef TILE
/* Rectangle of columns x rows. A group makes a tile of WIDE x TALL * DEEP pixels: it loads the tile and its surroundings,
   replaces every pixel by its window along the row (doubling), then down the column, and stores. here, there: each
   (WIDE + columns - 1) * (TALL * DEEP + rows - 1) pixels. */
__kernel __attribute__((reqd_work_group_size(WIDE, TALL, 1)))
void morphology(__global const T *restrict images, __global T *restrict results, int width, int height,
                int columns, int left, int rows, int top, __local T *here, __local T *there) {
    const size_t offset = (size_t)get_group_id(2) * width * height;
    const int x0 = get_group_id(0) * WIDE, y0 = get_group_id(1) * TALL * DEEP;
    const int lx = get_local_id(0), ly = get_local_id(1), pitch = WIDE + columns - 1, tall = TALL * DEEP + rows - 1;
    for (int j = ly; j < tall; j += TALL)
        for (int i = lx; i < pitch; i += WIDE)
            here[j * pitch + i] = pixel(images + offset, x0 + i - left, y0 + j - top, width, height);
    barrier(CLK_LOCAL_MEM_FENCE);
    int n = pitch;
    for (int done = 1; done < columns;) {
        const int step = min(done, columns - done);
        n -= step;
        for (int j = ly; j < tall; j += TALL)
            for (int i = lx; i < n; i += WIDE)
                there[j * pitch + i] = BETTER(here[j * pitch + i], here[j * pitch + i + step]);
        barrier(CLK_LOCAL_MEM_FENCE);
        __local T *other = here;
        here = there;
        there = other;
        done += step;
    }
    n = tall;
    for (int done = 1; done < rows;) {
        const int step = min(done, rows - done);
        n -= step;
        for (int j = ly; j < n; j += TALL)
            there[j * pitch + lx] = BETTER(here[j * pitch + lx], here[(j + step) * pitch + lx]);
        barrier(CLK_LOCAL_MEM_FENCE);
        __local T *other = here;
        here = there;
        there = other;
        done += step;
    }
    for (int j = ly; j < TALL * DEEP; j += TALL)
        if (x0 + lx < width && y0 + j < height) results[offset + (size_t)(y0 + j) * width + x0 + lx] = here[j * pitch + lx];
}
#endif

#ifdef POINTS
/* Any mask as points (row, column). here: (WIDE + columns - 1) * (TALL * DEEP + rows - 1) pixels. */
__kernel __attribute__((reqd_work_group_size(WIDE, TALL, 1)))
void morphology(__global const T *restrict images, __global T *restrict results, int width, int height,
                int columns, int left, int rows, int top, int n_points, __global const int *restrict points,
                __local T *here) {
    const size_t offset = (size_t)get_group_id(2) * width * height;
    const int x0 = get_group_id(0) * WIDE, y0 = get_group_id(1) * TALL * DEEP;
    const int lx = get_local_id(0), ly = get_local_id(1), pitch = WIDE + columns - 1, tall = TALL * DEEP + rows - 1;
    for (int j = ly; j < tall; j += TALL)
        for (int i = lx; i < pitch; i += WIDE)
            here[j * pitch + i] = pixel(images + offset, x0 + i - left, y0 + j - top, width, height);
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int j = ly; j < TALL * DEEP; j += TALL) {
        T best = WORST;
        for (int k = 0; k < n_points; k++) {
            const T p = here[(j + points[2 * k]) * pitch + lx + points[2 * k + 1]];
            best = BETTER(best, p);
        }
        if (x0 + lx < width && y0 + j < height) results[offset + (size_t)(y0 + j) * width + x0 + lx] = best;
    }
}
#endif

#ifdef EACH
/* For every image n its own points (row, column, from the pixel on), first[n] .. first[n + 1] - 1, and its own side.
   An item a pixel: x, y, image. */
__kernel void morphology(__global const T *restrict images, __global T *restrict results, int width, int height,
                         __global const int *restrict first, __global const int *restrict points,
                         __global const int *restrict largest) {
    const int x = get_global_id(0), y = get_global_id(1), n = get_global_id(2);
    if (x >= width || y >= height) return;
    const size_t offset = (size_t)n * width * height;
    const int side = largest[n];
    T best = side ? LEAST : GREATEST;
    for (int k = first[n]; k < first[n + 1]; k++) {
        const int u = source_of(x + points[2 * k + 1], width), v = source_of(y + points[2 * k], height);
#if BORDER == 1
        T p = OUTSIDE;
#else
        T p = best;
#endif
        if (u >= 0 && v >= 0) p = images[offset + (size_t)v * width + u];
#ifdef FLOATS
        p = p == p ? p + 0.0f : best;
#endif
        best = (side ? p > best : p < best) ? p : best;
    }
    results[offset + (size_t)y * width + x] = best;
}
#endif

#ifdef GEODESIC
/* One step: the extreme of the neighbours, not beyond the bound; changed is set if any pixel moved. An item a pixel. */
__kernel void morphology(__global const T *restrict image, __global const T *restrict bound, __global T *restrict result,
                         int width, int height, int connectivity, __global int *changed) {
    const int x = get_global_id(0), y = get_global_id(1);
    if (x >= width || y >= height) return;
    const T old = pixel(image, x, y, width, height), limit = pixel(bound, x, y, width, height);
    T best = old;
    for (int j = -1; j <= 1; j++)
        for (int i = -1; i <= 1; i++)
            if (connectivity == 8 || i == 0 || j == 0) {
                const T p = pixel(image, x + i, y + j, width, height);
                best = BETTER(best, p);
            }
    best = BETTER(limit, best) == best ? limit : best;
    result[(size_t)y * width + x] = best;
    if (best != old) *changed = 1;
}
#endif
