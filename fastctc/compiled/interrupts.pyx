"""How native loops hear that they are to stop.

Python delivers signals to its main thread only: a thread that helps it would go on with its part after Ctrl-C, and be
waited for. So a helper watches a flag that the thread that has called it sets. All long loops ``look`` now and then:
in a helper that reads one number of this thread, without the GIL; in any other thread it asks Python for signals.
"""

from cpython.exc cimport PyErr_CheckSignals

cdef extern from *:
    """
    #ifdef _MSC_VER
    static __declspec(thread) volatile int *watched = NULL;
    #else
    static __thread volatile int *watched = NULL;
    #endif
    static void watch(volatile int *flag) { watched = flag; }
    static int is_helper(void) { return watched != NULL; }
    static int is_stopped(void) { return *watched; }
    """
    void watch(int *) noexcept nogil
    bint is_helper() noexcept nogil
    bint is_stopped() noexcept nogil


class Stopped(BaseException):
    """Raised in a helper that has been told to stop."""


cdef class Stop:
    """A flag for the helpers of one thread."""

    cdef int flag  # written by one thread and read by others; that they see it late costs nothing

    def watch(self):
        """Make this thread a helper for the rest of its life. It must hold this object as long."""
        watch(&self.flag)

    def set(self):
        """Stop all who watch."""
        self.flag = 1


cdef int look() except -1 nogil:
    """Raise what there is to be raised."""
    if is_helper():
        if is_stopped():
            with gil:
                raise Stopped()
        return 0
    with gil:
        PyErr_CheckSignals()
    return 0
