"""Numbers of any magnitude, for bounds on sums that no double holds."""

from libc.math cimport INFINITY, exp, frexp, ldexp, log, log1p

from fastctc.compiled.lattice cimport LN2, power_of_two

# A number, value * 2**exponent; 0 has any exponent.
cdef struct Wide:
    double value
    Py_ssize_t exponent


cdef inline double two_to_the(Py_ssize_t exponent) noexcept nogil:
    """2**exponent; 0 below the normal numbers, 2**1023 above."""
    return power_of_two(<int> max(min(exponent, 1023), -1023))


cdef inline double log_add(double a, double b) noexcept nogil:
    """Logarithm of exp(a) + exp(b)."""
    cdef double top = max(a, b)
    return top if top == -INFINITY else top + log1p(exp(min(a, b) - top))


cdef inline void keep_greater(Wide *a, double value, Py_ssize_t exponent) noexcept nogil:
    """Make ``a`` the greater of itself and value * 2**exponent."""
    cdef int shift = 0, own_shift = 0
    cdef double own
    if value > 0.0:
        if exponent <= a.exponent + 900 and a.value > 0.0:
            a.value = max(a.value, value * two_to_the(exponent - a.exponent))
            return
        # So far apart that a double does not hold their ratio, unless one of the values is very small or large.
        own = frexp(a.value, &own_shift)
        frexp(value, &shift)
        if own == 0.0 or exponent + shift > a.exponent + own_shift:
            a.value = value
            a.exponent = exponent


cdef inline void add_to(Wide *a, double value, Py_ssize_t exponent) noexcept nogil:
    """Add value * 2**exponent to ``a``; where no double holds their ratio, twice the greater one instead."""
    if value > 0.0:
        if exponent <= a.exponent + 900 and a.value > 0.0:
            a.value += value * two_to_the(exponent - a.exponent)
        else:
            keep_greater(a, value, exponent)
            a.value *= 2.0


cdef inline void multiply(Wide *a, double factor) noexcept nogil:
    """Multiply by a factor between 1e-200 and 1e200, or 0: the product of that and a value within 1e90 is a double."""
    cdef int shift = 0
    if not 1e-90 < a.value < 1e90 and 0.0 < a.value < INFINITY:
        a.value = frexp(a.value, &shift)
        a.exponent += shift
    a.value *= factor


cdef inline double log_of(Wide a) noexcept nogil:
    return log(a.value) + a.exponent * LN2


cdef inline double product(double a, double b, double c, Py_ssize_t exponent) noexcept nogil:
    """a b c 2**exponent, where a part of it may be less than the least double."""
    cdef int shift = 0
    a = frexp(a, &shift)
    exponent += shift
    b = frexp(b, &shift)
    exponent += shift
    c = frexp(c, &shift)
    exponent += shift
    return ldexp(a * b * c, <int> max(min(exponent, 9999), -9999))
