"""Twin of fastctc.reference.spelling."""

from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cpython.unicode cimport PyUnicode_4BYTE_KIND, PyUnicode_FromKindAndData

cdef enum:
    SHORT = 256


def spell_all(list many, str symbols, int blank) -> list:
    return [spell(labels, symbols, blank) for labels in many]


cpdef str spell(labels, str symbols, int blank):
    cdef tuple items = labels if type(labels) is tuple else tuple(labels)
    cdef Py_ssize_t n = len(items), n_classes = len(symbols), i = 0, written = 0
    cdef Py_ssize_t label
    cdef Py_UCS4 room[SHORT]
    cdef Py_UCS4 *text = &room[0]
    if n > SHORT:
        text = <Py_UCS4 *> PyMem_Malloc(n * sizeof(Py_UCS4))
        if text is NULL:
            raise MemoryError()
    try:
        for i in range(n):
            label = items[i]
            if not 0 <= label < n_classes:
                raise IndexError(f"labels must be classes, 0 to {n_classes - 1}, got {label}")
            if label != blank:
                text[written] = symbols[label]
                written += 1
        return PyUnicode_FromKindAndData(PyUnicode_4BYTE_KIND, text, written)
    except OverflowError:
        raise IndexError(f"labels must be classes, 0 to {n_classes - 1}, got {items[i]}") from None
    finally:
        if n > SHORT:
            PyMem_Free(text)
