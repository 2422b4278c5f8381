/* Best path decoding of a batch: the best class of each frame (the first of equals), repeats merged, blanks dropped. Twin
   of fastctc/reference/best_path.py. log_probs (B, n_frames, n_classes); for sequence b, whose first lengths[b] frames
   count, labels and timesteps [b, 0 .. counts[b] - 1], and of every frame the best value, which the host adds up.
   doubts[b]: whether any of its frames may not be a distribution (a rough sum of exp; the host looks closely then).

   Defined from outside: REAL float or double, INDEX the integer of its size; STREAM for processors (an item a sequence, VN values a vector), else the
   kernel for graphics cards: GROUP items a sequence, LANES of them a frame, whose reads lie side by side; global size B times that. Sequences may
   be longer than a group: it goes on GROUP / LANES frames at a time. */

#define HIGHEST 1e-3f
#define DOUBTFUL(best, sum) !(((best) <= HIGHEST) & ((sum) > 0.55f) & ((sum) < 1.42f))

#ifdef STREAM

/* The slope of exp() in the exponent field of a float, and its zero: see fastctc/compiled/rows.h. */
#define EXP_SLOPE 12102203.2f
#define EXP_ZERO 1064866805.0f

typedef float floats __attribute__((ext_vector_type(VN)));
typedef int ints __attribute__((ext_vector_type(VN)));
typedef REAL reals __attribute__((ext_vector_type(VN)));
typedef INDEX wholes __attribute__((ext_vector_type(VN)));
typedef REAL loose __attribute__((ext_vector_type(VN), aligned(sizeof(REAL))));
#define LOAD(p) ((reals)*(__global const loose *)(p))
/* Adds exp(x), roughly; NaN stays in nans, where the conversion to whole numbers would lose it. */
#define ADD_EXP(x)                                                     \
    {                                                                  \
        floats y = __builtin_convertvector(x, floats) * EXP_SLOPE + EXP_ZERO; \
        nans += y;                                                     \
        y = y > 0.0f ? y : 0.0f;                                       \
        sums += __builtin_astype(__builtin_convertvector(y, ints), floats); \
    }

/* All lanes as one, in halves: a loop over them would wait for itself. VN is 8 or 4. */
#if VN == 8
#define HALF(type, v, PICK) type##4 v##_four = PICK(v.lo, v.hi);
#else
#define HALF(type, v, PICK) type##4 v##_four = v;
#endif
#define AS_ONE(type, v, PICK)                                   \
    typedef type type##4 __attribute__((ext_vector_type(4)));   \
    typedef type type##2 __attribute__((ext_vector_type(2)));   \
    HALF(type, v, PICK)                                         \
    type##2 v##_two = PICK(v##_four.lo, v##_four.hi);                      \
    return PICK(v##_two.x, v##_two.y);
#define MORE(a, b) ((b) > (a) ? (b) : (a))
#define LESS(a, b) ((b) < (a) ? (b) : (a))
#define PLUS(a, b) ((a) + (b))
typedef REAL one_real;
typedef INDEX one_index;
typedef float one_float;
inline REAL most(reals v) { AS_ONE(one_real, v, MORE) }
inline INDEX least(wholes v) { AS_ONE(one_index, v, LESS) }
inline float total(floats v) { AS_ONE(one_float, v, PLUS) }

__kernel void best_path(__global const REAL *restrict log_probs, __global const int *restrict lengths,
                        __global int *restrict labels, __global int *restrict timesteps, __global REAL *restrict values,
                        __global int *restrict counts, __global int *restrict doubts, int n_frames, int n_classes, int blank) {
    const size_t b = get_global_id(0);
    wholes lane;
    for (int j = 0; j < VN; j++) lane[j] = j;
    __global const REAL *row = log_probs + b * n_frames * n_classes;
    __global int *label = labels + b * n_frames, *timestep = timesteps + b * n_frames;
    __global REAL *value = values + b * n_frames;
    const int whole = n_classes / VN * VN;
    int count = 0, previous = blank, doubtful = 0;
    for (int t = 0; t < lengths[b]; t++, row += n_classes) {
        REAL best = row[0];
        float sum = 0;
        int at = 0, i = 0;
        if (whole) { /* every lane keeps the first of its greatest */
            reals v = LOAD(row);
            wholes which = 0;
            floats sums = 0, nans = 0;
            ADD_EXP(v)
            for (i = VN; i < whole; i += VN) {
                const reals w = LOAD(row + i);
                const wholes more = w > v;
                v = more ? w : v;
                which = more ? (wholes)(i) : which;
                ADD_EXP(w)
            }
            sums += nans == nans ? 0.0f : nans;
            sum = total(sums);
            best = most(v);
            at = least(v == best ? which + lane : (wholes)(n_classes));
        }
        for (; i < n_classes; i++) {
            at = row[i] > best ? i : at;
            best = row[i] > best ? row[i] : best;
            sum += exp((float)row[i]);
        }
        doubtful |= DOUBTFUL(best, sum);
        value[t] = best;
        if (at != previous && at != blank) {
            label[count] = at;
            timestep[count++] = t;
        }
        previous = at;
    }
    counts[b] = count;
    doubts[b] = doubtful;
}

#else

#define LANES 16
#define FRAMES 16
#define GROUP (FRAMES * LANES)

/* Conditions are computed, not branched over (& for &&): PoCL 3 loses items that branch between barriers in a loop. */
#define HALVE(apart)                                                                              \
    barrier(CLK_LOCAL_MEM_FENCE);                                                                 \
    its_value = best_value[min(item + apart, GROUP - 1)];                                         \
    its_class = best_class[min(item + apart, GROUP - 1)];                                         \
    takes = (lane < apart) & (its_class < n_classes) &                                            \
            ((its_value > value) | (at == n_classes) | ((its_value == value) & (its_class < at))); \
    value = takes ? its_value : value;                                                            \
    at = takes ? its_class : at;                                                                  \
    barrier(CLK_LOCAL_MEM_FENCE);                                                                 \
    best_value[item] = value;                                                                     \
    best_class[item] = at;
#define ADD(step)                                                                                 \
    barrier(CLK_LOCAL_MEM_FENCE);                                                                 \
    before = item >= step ? sums[max(item - step, 0)] : 0;                                        \
    barrier(CLK_LOCAL_MEM_FENCE);                                                                 \
    sums[item] += before;

__kernel __attribute__((reqd_work_group_size(GROUP, 1, 1)))
void best_path(__global const REAL *restrict log_probs, __global const int *restrict lengths,
               __global int *restrict labels, __global int *restrict timesteps, __global REAL *restrict values,
               __global int *restrict counts, __global int *restrict doubts, int n_frames, int n_classes, int blank) {
    __local REAL best_value[GROUP];
    __local float rough[GROUP];
    __local int best_class[GROUP], classes[FRAMES + 1], sums[GROUP];
    const int b = get_group_id(0);
    const int item = get_local_id(0), lane = item % LANES, frame = item / LANES, length = lengths[b];
    if (item == 0) classes[0] = blank;
    rough[item] = 0;
    barrier(CLK_LOCAL_MEM_FENCE);
    int count = 0, doubtful = 0;
    for (int start = 0; start < n_frames; start += FRAMES) { /* as often for every item: there are barriers inside */
        const int t = start + frame;
        /* each lane the best of its classes, the first of equals */
        REAL value = -INFINITY;
        int at = n_classes;
        if (t < length) {
            __global const REAL *row = log_probs + ((size_t)b * n_frames + t) * n_classes;
            float sum = 0;
            for (int i = lane; i < n_classes; i += LANES) {
                sum += exp((float)row[i]);
                if (at == n_classes || row[i] > value) {
                    value = row[i];
                    at = i;
                }
            }
            rough[item] = sum;
        }
        best_value[item] = value;
        best_class[item] = at;
        REAL its_value;
        int its_class, takes;
        HALVE(8)
        HALVE(4)
        HALVE(2)
        HALVE(1)
        barrier(CLK_LOCAL_MEM_FENCE);
        if (lane == 0) {
            classes[frame + 1] = best_class[item];
            if (t < length) {
                float sum = 0;
                for (int i = 0; i < LANES; i++) sum += rough[item + i];
                doubtful |= DOUBTFUL(best_value[item], sum);
                values[(size_t)b * n_frames + t] = best_value[item];
            }
        }
        barrier(CLK_LOCAL_MEM_FENCE);
        /* which frames begin a label, and how many do up to each: a running sum over the group */
        const int place = min(item, FRAMES - 1), mine = (item < FRAMES) & (start + item < length);
        const int begins = mine & (classes[place + 1] != blank) & (classes[place + 1] != classes[place]);
        int before;
        sums[item] = begins;
        ADD(1)
        ADD(2)
        ADD(4)
        ADD(8)
        barrier(CLK_LOCAL_MEM_FENCE);
        if (begins) {
            const size_t to = (size_t)b * n_frames + count + sums[item] - 1;
            labels[to] = classes[place + 1];
            timesteps[to] = start + item;
        }
        count += sums[FRAMES - 1];
        const int last = classes[FRAMES];
        barrier(CLK_LOCAL_MEM_FENCE);
        if (item == 0) classes[0] = last;
    }
    rough[item] = doubtful;
    barrier(CLK_LOCAL_MEM_FENCE);
    if (item == 0) {
        counts[b] = count;
        for (int i = 1; i < GROUP; i++) doubtful |= rough[i] > 0;
        doubts[b] = doubtful;
    }
}

#endif
