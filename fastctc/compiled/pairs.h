/* A table from pairs of numbers that are not negative to numbers: open addressing, never more than half full. */

#ifndef FASTCTC_PAIRS_H
#define FASTCTC_PAIRS_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    uint64_t *keys; /* the pair, and 1 more: 0 is an empty place */
    int32_t *values;
    size_t size, used;
} Pairs;

static size_t pairs_place(const Pairs *table, uint64_t key) {
    uint64_t mixed = key * UINT64_C(0x9E3779B97F4A7C15);
    size_t place = (size_t)(mixed ^ mixed >> 32) & (table->size - 1);
    while (table->keys[place] && table->keys[place] != key) place = (place + 1) & (table->size - 1);
    return place;
}

static int pairs_make(Pairs *table, size_t size) {
    table->keys = (uint64_t *)calloc(size, sizeof(uint64_t));
    table->values = (int32_t *)malloc(size * sizeof(int32_t));
    table->size = size;
    table->used = 0;
    return table->keys && table->values ? 0 : -1;
}

static void pairs_free(Pairs *table) {
    free(table->keys);
    free(table->values);
    memset(table, 0, sizeof *table);
}

/* The number of a pair, -1 if it has none. */
static int32_t pairs_get(const Pairs *table, int32_t a, int32_t b) {
    size_t place = pairs_place(table, (((uint64_t)(uint32_t)a << 32) | (uint32_t)b) + 1);
    return table->keys[place] ? table->values[place] : -1;
}

/* Give a pair that has none a number. -1 if there is no memory. */
static int pairs_set(Pairs *table, int32_t a, int32_t b, int32_t value) {
    if (2 * (table->used + 1) > table->size) {
        Pairs larger;
        if (pairs_make(&larger, 2 * table->size)) {
            pairs_free(&larger);
            return -1;
        }
        for (size_t i = 0; i < table->size; i++) {
            if (table->keys[i]) {
                size_t place = pairs_place(&larger, table->keys[i]);
                larger.keys[place] = table->keys[i];
                larger.values[place] = table->values[i];
            }
        }
        larger.used = table->used;
        pairs_free(table);
        *table = larger;
    }
    uint64_t key = (((uint64_t)(uint32_t)a << 32) | (uint32_t)b) + 1;
    size_t place = pairs_place(table, key);
    table->keys[place] = key;
    table->values[place] = value;
    table->used++;
    return 0;
}

#endif
