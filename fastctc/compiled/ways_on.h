/* What may follow a label, frame by frame: loops that compilers turn into vectors. */

#ifndef FASTCTC_WAYS_ON_H
#define FASTCTC_WAYS_ON_H

#include <stddef.h>

/* Twin of ways_on in fastctc.reference.prefix_search, of frames (n_frames, n_classes), as result is. */
static void find_ways_on(const double *y, size_t n_frames, size_t n_classes, size_t blank, double *restrict result) {
    double after_blank = 0.0;
    if (n_frames == 0)
        return;
    for (size_t c = 0; c < n_classes; c++)
        result[(n_frames - 1) * n_classes + c] = 0.0;
    for (size_t t = n_frames - 1; t > 0; t--) {
        const double *row = y + t * n_classes;
        const double *later = result + t * n_classes;
        double *on = result + (t - 1) * n_classes;
        double rest = 0.0, most = 0.0, everything, stops = row[blank] * after_blank;
        for (size_t c = 0; c < n_classes; c++) {
            double p = c == blank ? 0.0 : row[c];
            rest += p < most ? p : most;
            most = p > most ? p : most;
        }
        everything = rest + most;
        for (size_t c = 0; c < n_classes; c++) {
            double others = row[c] == most ? rest : everything - row[c];
            on[c] = others + (row[c] * later[c] + stops);
        }
        on[blank] = 0.0;
        after_blank = everything + stops;
    }
}

#endif
