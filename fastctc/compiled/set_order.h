/* The order in which a set of Python gives numbers that were added in ascending order, and one more by a union. */

#ifndef FASTCTC_SET_ORDER_H
#define FASTCTC_SET_ORDER_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { PROBES = 9, SHIFT = 5, LEAST = 8 };

/* The place of a number, or the free one where it belongs. */
static size_t set_place(const int32_t *table, size_t mask, int32_t number) {
    size_t rest = (size_t)number, i = rest & mask;
    for (;;) {
        size_t last = i + PROBES <= mask ? i + PROBES : i;
        for (size_t at = i; at <= last; at++) {
            if (table[at] < 0 || table[at] == number) return at;
        }
        rest >>= SHIFT;
        i = (i * 5 + 1 + rest) & mask;
    }
}

/* Put the numbers of a table into another, of the first size above one; returns its mask. */
static size_t set_resize(const int32_t *table, size_t mask, int32_t *into, size_t above) {
    size_t size = LEAST;
    while (size <= above) size <<= 1;
    memset(into, 0xff, size * sizeof(int32_t));
    for (size_t i = 0; i <= mask; i++) {
        if (table[i] >= 0) into[set_place(into, size - 1, table[i])] = table[i];
    }
    return size - 1;
}

/* Order n ascending numbers and one more, which may be among them. Returns how many there are; two tables of
   8 (n + 2) numbers are room to work in. */
static int set_order(int32_t *numbers, int n, int32_t more, int32_t *table, int32_t *other) {
    size_t mask = LEAST - 1, used = 0, count = 0;
    int32_t *spare;
    if (n == 0) {
        numbers[0] = more;
        return 1;
    }
    memset(table, 0xff, LEAST * sizeof(int32_t));
    for (int i = 0; i < n; i++) {
        table[set_place(table, mask, numbers[i])] = numbers[i];
        used++;
        if (used * 5 >= mask * 3) {
            mask = set_resize(table, mask, other, used * 4);
            spare = table, table = other, other = spare;
        }
    }
    /* the copy, of its own size; a table of the same size is taken as it is */
    {
        size_t size = LEAST;
        if (used * 5 >= (size_t)(LEAST - 1) * 3) {
            while (size <= used * 2) size <<= 1;
        }
        if (size - 1 != mask) {
            mask = set_resize(table, mask, other, size - 1);
            spare = table, table = other, other = spare;
        }
    }
    if ((used + 1) * 5 >= mask * 3) {
        mask = set_resize(table, mask, other, (used + 1) * 2);
        spare = table, table = other, other = spare;
    }
    {
        size_t at = set_place(table, mask, more);
        if (table[at] < 0) {
            table[at] = more;
            used++;
            if (used * 5 >= mask * 3) {
                mask = set_resize(table, mask, other, used * 4);
                spare = table, table = other, other = spare;
            }
        }
    }
    for (size_t i = 0; i <= mask; i++) {
        if (table[i] >= 0) numbers[count++] = table[i];
    }
    return (int)count;
}

#endif
