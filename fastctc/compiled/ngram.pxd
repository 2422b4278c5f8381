"""The walk through an n-gram model, for this module and for the searches that ask it in their innermost loops."""

from libc.math cimport exp
from libc.stdint cimport int32_t

from fastctc.compiled.kenlm cimport Contexts, advance_context

cdef struct Model:
    const int32_t *words
    const float *log_probs
    const float *backoffs
    const int32_t *children
    const int32_t *suffixes
    int n_nodes
    int n_inner         # nodes that may have children
    bint uniform
    double unknown
    const double *own       # running sums over the children of each node: of their probabilities,
    const double *lower     # and of those that the shorter history gives the same tokens
    Contexts *contexts      # of a KenLM file, which then is asked instead; NULL: there is none


cdef inline int find(const Model *m, int node, int token) noexcept nogil:
    """The child of a node, -1 if there is none. Indices are checked here, since a model may come from a bad file."""
    cdef int low, high, middle
    if node >= m.n_inner:
        return -1
    low = m.children[node]
    high = m.children[node + 1]
    if low < 1 or high > m.n_nodes:
        return -1
    if node == 0 and 0 <= token < high - low and m.words[low + token] == token:
        return low + token  # the root has all tokens
    while low < high:
        middle = low + (high - low) // 2
        if m.words[middle] < token:
            low = middle + 1
        elif m.words[middle] > token:
            high = middle
        else:
            return middle
    return -1


cdef inline int suffix(const Model *m, int node) noexcept nogil:
    """The longest shorter history; it stands before its node, so that every walk comes to an end."""
    cdef int shorter = m.suffixes[node]
    return shorter if 0 <= shorter < node else 0


cdef inline double advance(const Model *m, int *state, int token) noexcept nogil:
    """Log probability of a token after a state, and the next state."""
    cdef double result = 0.0
    cdef int node, now = state[0]
    cdef bint settled = False
    if m.contexts != NULL:
        return advance_context(m.contexts, state, token)
    while True:
        node = find(m, now, token)
        if node >= 0 or now == 0:
            break
        if not settled and now < m.n_inner and (not m.uniform or m.children[now] < m.children[now + 1]):
            result += m.backoffs[now]
            settled = m.uniform
        now = suffix(m, now)
    if not settled:
        result += m.log_probs[node] if node >= 0 else m.backoffs[0] if m.uniform else m.unknown
    now = node if node > 0 else 0
    state[0] = now if now < m.n_inner else suffix(m, now)
    return result


cdef inline int place(const Model *m, int low, int high, int token) noexcept nogil:
    """The first of some children that is not before a token."""
    cdef int middle
    while low < high:
        middle = low + (high - low) // 2
        if m.words[middle] < token:
            low = middle + 1
        else:
            high = middle
    return low


cdef inline double between(const double *sums, int start, int low, int high) noexcept nogil:
    if low >= high:
        return 0.0
    return sums[high - 1] - (sums[low - 1] if low > start else 0.0)


cdef inline double forecast_sum(const Model *m, int state, int first, int last) noexcept nogil:
    """Sum of the probabilities of the tokens first to last - 1 after a state."""
    cdef double seen, rest, weight = 1.0
    cdef int start = 0, stop = 0, low = 0, high = 0
    if first >= last:
        return 0.0
    if state < m.n_inner:
        start = m.children[state]
        stop = m.children[state + 1]
        if start < 1 or stop > m.n_nodes or start > stop:
            start = stop = 0
        low = place(m, start, stop, first)
        high = place(m, low, stop, last)
    seen = between(m.own, start, low, high)
    if state == 0:
        return seen
    if m.uniform and start < stop:
        return seen + exp(m.backoffs[state]) * ((last - first) - (high - low))
    if state < m.n_inner and not m.uniform:
        weight = exp(m.backoffs[state])
    rest = forecast_sum(m, suffix(m, state), first, last) - between(m.lower, start, low, high)
    return seen + weight * (rest if rest > 0.0 else 0.0)


cdef inline int fill(Model *m, tables) except -1:
    """Point to the arrays of NGramTables, which the caller keeps alive."""
    cdef const int32_t[::1] words = tables.words, children = tables.children, suffixes = tables.suffixes
    cdef const float[::1] log_probs = tables.log_probs, backoffs = tables.backoffs
    m.contexts = NULL
    m.uniform = tables.uniform
    m.unknown = tables.unknown
    cdef Py_ssize_t n_nodes = words.shape[0], n_inner = backoffs.shape[0]
    if not (
        1 <= n_inner <= n_nodes < 0x7fffffff and log_probs.shape[0] == n_nodes and suffixes.shape[0] == n_nodes
        and children.shape[0] == n_inner + 1
    ):
        raise ValueError(
            "the tables of a model must have one entry a node, and one more child table than back-off weights, got "
            f"{n_nodes}, {log_probs.shape[0]}, {suffixes.shape[0]} and {n_inner}, {children.shape[0]}"
        )
    m.words = &words[0]
    m.log_probs = &log_probs[0]
    m.backoffs = &backoffs[0]
    m.children = &children[0]
    m.suffixes = &suffixes[0]
    m.n_nodes = <int> n_nodes
    m.n_inner = <int> n_inner
    return 0


cdef inline int fill_sums(Model *m, sums) except -1:
    """Point to the arrays of RunningSums, which the caller keeps alive."""
    cdef const double[::1] own = sums.own, lower = sums.lower
    if own.shape[0] != m.n_nodes or lower.shape[0] != m.n_nodes:
        raise ValueError(f"the running sums must have {m.n_nodes} entries, got {own.shape[0]} and {lower.shape[0]}")
    m.own = &own[0]
    m.lower = &lower[0]
    return 0
