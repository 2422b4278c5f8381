"""Labels for Python."""

from cpython.long cimport PyLong_FromLong
from cpython.ref cimport Py_INCREF
from cpython.tuple cimport PyTuple_New, PyTuple_SET_ITEM
from libc.stdint cimport int32_t


cdef inline tuple as_tuple(const int32_t *numbers, Py_ssize_t n):
    cdef tuple result = PyTuple_New(n)
    cdef Py_ssize_t i
    for i in range(n):
        number = PyLong_FromLong(numbers[i])
        Py_INCREF(number)  # PyTuple_SET_ITEM takes a reference over
        PyTuple_SET_ITEM(result, i, number)
    return result
