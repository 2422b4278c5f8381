/* Reconstruction of one image (Vincent 1993, the hybrid algorithm): one scan down and one up settle most pixels, a queue
   of those whose neighbours may still change settles the rest; every pixel is touched a few times, however long the way. */

#ifndef FASTCTC_RECONSTRUCTION_H
#define FASTCTC_RECONSTRUCTION_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/* The queue is a ring that grows: a pixel may wait more than once. */
typedef struct {
    ptrdiff_t *at;
    size_t first, n, room;
} waiting_t;

static inline int wait_for(waiting_t *queue, ptrdiff_t pixel) {
    if (queue->n == queue->room) {
        const size_t room = queue->room ? 2 * queue->room : 1024;
        ptrdiff_t *at = malloc(room * sizeof *at);
        if (!at) return -1;
        for (size_t i = 0; i < queue->n; i++) at[i] = queue->at[(queue->first + i) % queue->room];
        free(queue->at);
        queue->at = at;
        queue->first = 0;
        queue->room = room;
    }
    queue->at[(queue->first + queue->n++) % queue->room] = pixel;
    return 0;
}

/* WINS(a, b): a is farther on the way than b, which is where a pixel moves to, though never beyond its bound. */
#define RECONSTRUCTION(NAME, T, WINS)                                                                                     \
    static int NAME(T *p, const T *bound, ptrdiff_t height, ptrdiff_t width, int connectivity) {                          \
        static const int dy[8] = {-1, 0, 1, 0, -1, -1, 1, 1}, dx[8] = {0, -1, 0, 1, -1, 1, -1, 1};                        \
        /* neighbours that the scan down has passed, and those that the scan up has passed */                            \
        static const int before[4] = {0, 1, 4, 5}, after[4] = {2, 3, 6, 7};                                               \
        const int half = connectivity / 2;                                                                                \
        waiting_t queue = {0};                                                                                            \
        int failed = 0;                                                                                                   \
        for (ptrdiff_t y = 0; y < height; y++)                                                                            \
            for (ptrdiff_t x = 0; x < width; x++) {                                                                       \
                T best = p[y * width + x];                                                                                \
                for (int k = 0; k < half; k++) {                                                                          \
                    const ptrdiff_t v = y + dy[before[k]], u = x + dx[before[k]];                                         \
                    if (v >= 0 && v < height && u >= 0 && u < width && WINS(p[v * width + u], best)) best = p[v * width + u]; \
                }                                                                                                         \
                p[y * width + x] = WINS(best, bound[y * width + x]) ? bound[y * width + x] : best;                        \
            }                                                                                                             \
        for (ptrdiff_t y = height - 1; y >= 0; y--)                                                                       \
            for (ptrdiff_t x = width - 1; x >= 0; x--) {                                                                  \
                T best = p[y * width + x];                                                                                \
                int waits = 0;                                                                                            \
                for (int k = 0; k < half; k++) {                                                                          \
                    const ptrdiff_t v = y + dy[after[k]], u = x + dx[after[k]];                                           \
                    if (v >= 0 && v < height && u >= 0 && u < width && WINS(p[v * width + u], best)) best = p[v * width + u]; \
                }                                                                                                         \
                if (WINS(best, bound[y * width + x])) best = bound[y * width + x];                                        \
                p[y * width + x] = best;                                                                                  \
                for (int k = 0; k < half; k++) {                                                                          \
                    const ptrdiff_t v = y + dy[after[k]], u = x + dx[after[k]], i = v * width + u;                        \
                    if (v >= 0 && v < height && u >= 0 && u < width && WINS(best, p[i]) && WINS(bound[i], p[i])) waits = 1; \
                }                                                                                                         \
                if (waits) failed |= wait_for(&queue, y * width + x);                                                     \
            }                                                                                                             \
        while (queue.n && !failed) {                                                                                      \
            const ptrdiff_t at = queue.at[queue.first], y = at / width, x = at % width;                                   \
            queue.first = (queue.first + 1) % queue.room;                                                                 \
            queue.n--;                                                                                                    \
            for (int k = 0; k < connectivity; k++) {                                                                      \
                const ptrdiff_t v = y + dy[k], u = x + dx[k], i = v * width + u;                                          \
                if (v < 0 || v >= height || u < 0 || u >= width) continue;                                                \
                if (!WINS(p[at], p[i]) || !WINS(bound[i], p[i])) continue;                                                \
                p[i] = WINS(p[at], bound[i]) ? bound[i] : p[at];                                                          \
                failed |= wait_for(&queue, i);                                                                            \
            }                                                                                                             \
        }                                                                                                                 \
        free(queue.at);                                                                                                   \
        return failed;                                                                                                    \
    }

#define MORE(a, b) ((a) > (b))
#define LESS(a, b) ((a) < (b))
RECONSTRUCTION(grown_u8, uint8_t, MORE)
RECONSTRUCTION(grown_u16, uint16_t, MORE)
RECONSTRUCTION(grown_i16, int16_t, MORE)
RECONSTRUCTION(grown_f32, float, MORE)
RECONSTRUCTION(shrunk_u8, uint8_t, LESS)
RECONSTRUCTION(shrunk_u16, uint16_t, LESS)
RECONSTRUCTION(shrunk_i16, int16_t, LESS)
RECONSTRUCTION(shrunk_f32, float, LESS)

/* kind is 'B', 'H', 'h' or 'f', as in Python's struct; 0, or -1 if there is no memory. */
static int reconstructed(char kind, int grow, int connectivity, void *p, const void *bound, ptrdiff_t h, ptrdiff_t w) {
    switch (kind) {
        case 'B': return grow ? grown_u8(p, bound, h, w, connectivity) : shrunk_u8(p, bound, h, w, connectivity);
        case 'H': return grow ? grown_u16(p, bound, h, w, connectivity) : shrunk_u16(p, bound, h, w, connectivity);
        case 'h': return grow ? grown_i16(p, bound, h, w, connectivity) : shrunk_i16(p, bound, h, w, connectivity);
        default: return grow ? grown_f32(p, bound, h, w, connectivity) : shrunk_f32(p, bound, h, w, connectivity);
    }
}

#endif
