"""The symbols of a text: its distinct classes, numbered as they come up. The blank is symbol 0."""


cdef inline Py_ssize_t number_symbols(
    tuple labels, int blank, Py_ssize_t n_classes, int *classes, int *symbols
) except -1:
    """Check a text, and number its classes; returns how many symbols there are.

    ``classes[k]`` becomes the class of symbol k, ``symbols[i]`` the symbol of label i. ``classes`` has room for twice
    as many numbers as there are classes.
    """
    cdef int *number = classes + n_classes  # of a class, -1: none
    cdef Py_ssize_t i, n_symbols = 1
    cdef int label
    if not 0 <= blank < n_classes:
        raise ValueError(f"blank must be a class, 0 to {n_classes - 1}, got {blank}")
    for i in range(n_classes):
        number[i] = -1
    number[blank] = 0
    classes[0] = blank
    for i in range(len(labels)):
        if not 0 <= labels[i] < n_classes or labels[i] == blank:  # still Python's numbers, which may be of any size
            raise ValueError(
                f"labels must be classes, 0 to {n_classes - 1}, other than the blank {blank}, got {labels[i]}"
            )
        label = labels[i]
        if number[label] < 0:
            number[label] = <int> n_symbols
            classes[n_symbols] = label
            n_symbols += 1
        symbols[i] = number[label]
    return n_symbols
