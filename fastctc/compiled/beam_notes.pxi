# Included by beam_search.pyx: what models of characters and words know about a prefix.


cdef int find_row(Search *s, int state, int words_state) noexcept nogil:
    """The row of the table for a state, or for a node of the tree and a state of the model of words; a new one holds no
    answers yet."""
    cdef Py_ssize_t mask = 2 * s.row_capacity - 1, slot, i
    cdef double *factors
    cdef int row, child, end, label
    slot = ((<unsigned int> state * <unsigned int> 2654435761 ^ <unsigned int> words_state * <unsigned int> 2246822519)
            >> 7) & mask
    while s.slots[slot] >= 0:
        row = s.slots[slot]
        if s.row_states[row] == state and s.row_words_states[row] == words_state:
            return row
        slot = (slot + 1) & mask
    row = <int> s.n_rows
    s.n_rows += 1
    s.slots[slot] = row
    s.row_states[row] = state
    s.row_words_states[row] = words_state
    factors = s.factors + row * s.width
    for i in range(s.width):
        factors[i] = NAN
        s.next_states[row * s.width + i] = -1
    if words_state >= 0:  # the children of the tree's node; the tree may come from a bad file
        child = max(0, state + 1)
        end = s.tree_ends[state] if state >= 0 else s.n_tree if state == -1 else 0
        while child < end <= s.n_tree:
            label = s.tree_labels[child]
            if not (
                child < s.tree_ends[child] <= end and 0 <= label < s.width and 0 <= s.tree_words[child] < s.n_words
            ):
                break
            s.next_states[row * s.width + label] = child
            child = s.tree_ends[child]
    return row


cdef inline double factor(Search *s, int node, int label) noexcept nogil:
    """What the model says to a label after a prefix, to the power of its weight."""
    cdef int row = s.notes[node].letters_row, state
    cdef double value
    if row < 0:
        row = find_row(s, s.notes[node].letters, -1)
        s.notes[node].letters_row = row
    value = s.factors[row * s.width + label]
    if value != value:
        state = s.notes[node].letters
        value = exp(s.weight * advance(&s.model, &state, s.tokens[label]) + s.bonus)
        s.factors[row * s.width + label] = value
        s.next_states[row * s.width + label] = state
    return value


cdef inline bint is_whole(const Search *s, int tree) noexcept nogil:
    return tree >= 0 and (tree + 1 == s.tree_ends[tree] or s.tree_words[tree + 1] != s.tree_words[tree])


cdef inline int hot_child(const Search *s, int node, int label) noexcept nogil:
    cdef int child = node + 1, end = s.hot_ends[node] if node >= 0 else s.n_hot
    while child < end:
        if s.hot_labels[child] == label:
            return child
        child = s.hot_ends[child]
    return -1


cdef bint end_word(Search *s, const Note *note, Note *ended) noexcept nogil:
    """Where a prefix stands when its last word has ended; false if that is none."""
    cdef bint whole = is_whole(s, note.tree)
    cdef double value, score, reward
    ended[0] = note[0]
    ended.factor = ended.weight = 1.0
    ended.tree = -1
    ended.row = -1
    ended.hot = -1
    if note.tree == -1:
        ended.weight = note.weight
        ended.hot = note.hot
        return True
    if not whole and not s.is_open:
        return False
    value = 0.0 if whole else s.unknown
    if s.scored:
        score = advance(&s.words_model, &ended.words_state, s.tree_words[note.tree] if whole else -1)
        if whole:
            value = score
    reward = s.hot_whole[note.hot] if note.hot >= 0 else 0.0
    ended.factor = exp(s.words_weight * value + s.words_bonus + reward)
    ended.n_words += 1
    ended.text += value
    return True


cdef inline int words_row(Search *s, Note *note) noexcept nogil:
    if note.row < 0:
        note.row = find_row(s, note.tree, note.words_state if s.forecast else 0)
    return note.row


cdef bint after_fused(Search *s, int node, int label, Note *note) noexcept nogil:
    cdef Note *above = &s.notes[node]
    cdef int hot = hot_child(s, above.hot, label) if above.hot >= 0 else -1, tree = -1, row
    cdef double ahead = 0.0, partial = 0.0
    cdef double *chance
    if not s.is_word[label]:
        if not end_word(s, above, note):
            return False
        note.weight = exp(s.hot_partial[hot]) if hot >= 0 else 1.0
        note.reach = 1.0
    else:
        if above.tree == -1 or not s.begins[label]:
            row = words_row(s, above)
            note[0] = above[0]
            note.factor = 1.0
        elif end_word(s, above, note):  # a piece that begins the next word
            row = words_row(s, note)
        else:
            return False
        if note.tree == -1 and hot < 0 and s.n_hot:
            hot = hot_child(s, -1, label)
        tree = s.next_states[row * s.width + label]
        if tree < 0:
            if not s.is_open:
                return False
            tree = -2
            ahead = s.unknown
        elif s.scored:
            chance = &s.factors[row * s.width + label]
            if chance[0] != chance[0]:
                chance[0] = log(forecast_sum(
                    &s.words_model, note.words_state, s.tree_words[tree], s.tree_words[s.tree_ends[tree]]
                ))
            ahead = chance[0]
        if s.is_open and ahead < s.unknown:
            ahead = s.unknown
        if hot >= 0:
            partial = s.hot_partial[hot]
        note.weight = exp(s.words_weight * ahead + partial)
        # What it may become weighs no more than what it is, until the word ends with its bonus.
        note.reach = exp(s.words_weight * ahead)
    note.tree = tree
    note.row = -1
    note.hot = hot
    note.reach *= s.hottest * max(1.0, exp(s.words_bonus)) * (1.0 + 1e-9)
    return True


cdef bint after(Search *s, int node, int label, Note *note) noexcept nogil:
    """Where a prefix stands among the words after one more label; false if that must not follow."""
    cdef Note *above = &s.notes[node]
    cdef int tree = above.tree
    cdef double *chance
    if s.fused:
        return after_fused(s, node, label, note)
    note[0] = above[0]
    note.row = -1
    note.factor = 1.0
    note.hot = hot_child(s, above.hot, label) if above.hot >= 0 else -1
    if s.is_word[label]:
        if above.tree == -1 and note.hot < 0 and s.n_hot:
            note.hot = hot_child(s, -1, label)
        tree = s.next_states[words_row(s, above) * s.width + label]
        if tree < 0:
            return False
        note.tree = tree
        if s.forecast:
            chance = &s.factors[above.row * s.width + label]
            if chance[0] != chance[0]:
                chance[0] = log(forecast_sum(
                    &s.words_model, above.words_state, s.tree_words[tree], s.tree_words[s.tree_ends[tree]]
                ))
            note.base = exp((above.text + chance[0]) / (above.n_words + 1))
    else:
        if tree >= 0:
            if not is_whole(s, tree):
                return False
            if above.hot >= 0:
                note.factor = exp(s.hot_whole[above.hot])
            if s.scored:
                note.text += advance(&s.words_model, &note.words_state, s.tree_words[tree])
                note.n_words += 1
                note.base = exp(note.text / note.n_words)
        note.tree = -1
    note.weight = note.base * exp(s.hot_partial[note.hot]) if note.hot >= 0 else note.base
    note.reach = note.base
    if s.scored and s.forecast != (note.tree >= 0):
        note.reach = max(note.base, exp(note.text / (note.n_words + 1)))
    note.reach *= s.hottest * (1.0 + 1e-9)  # for roundings on the way
    return True


cdef void forget_rows(Search *s) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(2 * s.row_capacity):
        s.slots[i] = -1
    for i in range(s.n_nodes):
        s.notes[i].row = s.notes[i].letters_row = -1
    s.n_rows = 0


cdef int more_rows(Search *s) except -1 nogil:
    """See to it that a frame's rows fit."""
    cdef Py_ssize_t capacity = s.row_capacity
    cdef double *factors
    cdef int *next_states
    cdef int *states
    cdef int *slots
    while capacity < s.n_rows + ROWS * s.beam_width and (capacity < s.max_rows or capacity < ROWS * s.beam_width):
        capacity *= 2
    if capacity > s.row_capacity:
        factors = <double *> realloc(s.factors, capacity * s.width * sizeof(double))
        if factors is not NULL:
            s.factors = factors
            next_states = <int *> realloc(s.next_states, capacity * s.width * sizeof(int))
            if next_states is not NULL:
                s.next_states = next_states
            states = <int *> realloc(s.row_states, 2 * capacity * sizeof(int))
            if states is not NULL:
                s.row_states = states
                s.row_words_states = states + capacity
                slots = <int *> realloc(s.slots, 2 * capacity * sizeof(int))
                if slots is not NULL:
                    s.slots = slots
        if factors is NULL or next_states is NULL or states is NULL or slots is NULL:
            with gil:
                raise MemoryError()
        s.row_capacity = capacity
    forget_rows(s)
    return 0


cdef bint final_weight(Search *s, Py_ssize_t i, double *weight) noexcept nogil:
    """What weighs a beam at the end of the text, where the last word ends too; false if the models know no such end, or
    the word is none: then what weighs it as if it went on."""
    cdef const Note *note
    cdef Note ended
    cdef double value, before
    cdef int state
    weight[0] = before = 1.0
    if not s.has_notes:
        return True
    note = &s.notes[s.beams[i].node]
    if s.has_words:
        before = note.weight
        if not s.fused:
            weight[0] = note.base
            if note.hot >= 0 and note.tree >= 0:
                weight[0] *= exp(s.hot_whole[note.hot])
        elif not end_word(s, note, &ended):
            weight[0] = before
            return False
        elif note.tree != -1:
            weight[0] = ended.factor
    if s.has_model and s.end >= 0:
        state = note.letters
        value = advance(&s.model, &state, s.end)
        if value == -INFINITY:
            weight[0] = before
            return False
        weight[0] *= exp(s.weight * value)
    return True
