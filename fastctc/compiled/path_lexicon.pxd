"""A frame of a search over paths within a lexicon: down the tree of spellings, and back to its root behind a word."""

from libc.math cimport INFINITY
from libc.stdint cimport uint32_t

from fastctc.compiled.path_candidates cimport MARGIN, add, lowest, push
from fastctc.compiled.path_model cimport follow, most_of_model
from fastctc.compiled.path_state cimport NOTHING, Candidate, Child, Edge, Group, Node, Path, Search, mixed
from fastctc.compiled.path_steps cimport come_from, emitted, find_group


cdef inline int end_word(
    Search *s, const Path *paths, const Group *group, const float *row, int token, int word, float smeared,
    double bonus, bint repeats
) except -1 nogil:
    """Let a word end with a token, and go back to the root."""
    cdef Candidate new
    cdef float score = 0.0
    cdef int j = group.first, label = token if s.token_model else word, place = -1
    if not follow(s, &new, group.lm, label, &score):
        return 0
    if not s.token_model:
        score -= smeared
    new.node = 0
    new.token = token
    new.word = word
    new.gain = score
    new.is_blank = False
    while j >= 0:
        if repeats or paths[j].token != token:
            new.parent = j
            new.best = new.score = emitted(s, &paths[j], row, token) + s.lm_weight * score + bonus
            if place < 0:
                place = push(s, &new)
            else:
                add(s, place, &new)
        j = s.next_in_group[j]
    return 0


cdef inline int arrive_at_root(Search *s, const Path *paths, int place, const float *row) except -1 nogil:
    """Add the words that lead to the state of a path between words, by all their spellings."""
    cdef int state = s.candidates[place].lm, k, group
    cdef const Edge *edge
    cdef const Node *node
    cdef uint32_t slot, mask = <uint32_t> s.n_places - 1
    if state and s.edges[state - 1].label >= 0 and s.allowed[s.silence]:
        edge = &s.edges[state - 1]
        slot = mixed(<uint32_t> edge.label, 0) & mask
        while s.places[slot] >= 0 and s.words[s.places[slot]] != edge.label:
            slot = (slot + 1) & mask
        k = s.places[slot]
        while k >= 0:
            node = &s.nodes[s.ends[k]]
            if node.token == s.silence:
                group = find_group(s, edge.origin, node.parent, &slot)
                if group >= 0:
                    end_word(s, paths, &s.groups[group], row, node.token, edge.label,
                             s.nodes[node.parent].bound if node.parent else 0.0, s.word_bonus, node.parent != 0)
            k = s.next_spelling[k]
    s.candidates[place].settled = True
    return 0


cdef inline int arrive_in_tree(Search *s, const Path *paths, int n, const float *row) except -1 nogil:
    """Add the paths that come to the state of another path, however small they are.

    Where anything may end as an unknown word, or ends in a state of tokens, too many ways lead to the root.
    """
    cdef const Node *node
    cdef const Edge *edge
    cdef int i, group, origin, token
    cdef uint32_t slot
    cdef double gain
    cdef bint few_lead_to_root = not (s.token_model or s.unknown_bonus > -INFINITY)
    for i in range(n):
        if s.stays[i] < 0 or s.candidates[s.stays[i]].settled:
            continue
        if paths[i].node == 0:
            if few_lead_to_root:
                arrive_at_root(s, paths, s.stays[i], row)
            continue
        node = &s.nodes[paths[i].node]
        token = paths[i].token
        origin = paths[i].lm
        gain = node.step
        if s.token_model:
            if origin == 0 or s.edges[origin - 1].label != token:
                continue
            edge = &s.edges[origin - 1]
            origin = edge.origin
            gain = edge.score
        group = find_group(s, origin, node.parent, &slot)
        if group >= 0 and s.allowed[token]:
            come_from(s, paths, group, row, token, gain, s.stays[i])
        s.candidates[s.stays[i]].settled = True
    return 0


cdef inline double weighed(const Search *s, float gain) noexcept nogil:
    """The most that is added for a gain at most so high."""
    return s.lm_weight * gain if s.lm_weight > 0.0 else 0.0 if s.lm_weight == 0.0 else INFINITY


cdef inline int go_to_child(
    Search *s, const Path *paths, const Group *group, const float *row, int child, float smeared, double end_room,
    double margin
) except -1 nogil:
    """Go to a child, and from one that ends a word to the root."""
    cdef Candidate new
    cdef const Node *node = &s.nodes[child]
    cdef int token = node.token, j, k, place = -1
    cdef double most = group.most + row[token]
    cdef float gain = 0.0
    if token == s.silence:
        most += s.silence_bonus
    if node.children < node[1].children:
        gain = node.step
        if not most + (most_of_model(s) if s.token_model else s.lm_weight * gain) < lowest(s):
            new.lm = group.lm
            new.label = NOTHING
            if not s.token_model or follow(s, &new, group.lm, token, &gain):
                new.node = child
                new.token = token
                new.word = -1
                new.is_blank = False
                new.gain = gain
                j = group.first
                while j >= 0:
                    if paths[j].is_blank or paths[j].token != token:
                        new.parent = j
                        new.best = new.score = emitted(s, &paths[j], row, token) + s.lm_weight * gain
                        if place < 0:
                            place = push(s, &new)
                        else:
                            add(s, place, &new)
                    j = s.next_in_group[j]
    if node.words < node[1].words:
        if not most + end_room + s.word_bonus < lowest(s) - margin:
            for k in range(node.words, node[1].words):
                end_word(s, paths, group, row, token, s.words[k], smeared, s.word_bonus, group.node != 0)
    elif s.unknown_bonus > -INFINITY and not most + end_room + s.unknown_bonus < lowest(s) - margin:
        end_word(s, paths, group, row, token, s.unknown, smeared, s.unknown_bonus, True)
    return 0


cdef inline int sort_first_tokens(Search *s, double most, double room) noexcept nogil:
    """Sort the tokens of the root's children by their scores: how many reach the bound with the most that is given."""
    cdef int token, j, n = 0
    cdef double reach
    for token in range(s.n_classes):
        reach = s.row_reach[token]
        if s.first_nodes[token] < 0 or not s.allowed[token] or most + reach + room < lowest(s):
            continue
        j = n
        while j > 0 and s.reach[j - 1] < reach:
            s.reach[j] = s.reach[j - 1]
            s.likely[j] = s.likely[j - 1]
            j -= 1
        s.reach[j] = reach
        s.likely[j] = token
        n += 1
    return n


cdef inline int go_down(Search *s, const Path *paths, const float *row) except -1 nogil:
    """Within a lexicon: to the children of the nodes that paths stand at.

    A group of paths is left out as a whole if it does not reach the bound with the best token and the most that any
    child may add, nor with the best that ends words and the most that the model gives; from the root, which has many
    children, that ends its likely tokens. Where paths are added up, and several ways may lead to a state between words,
    smaller ones count too.
    """
    cdef const Group *group
    cdef const Node *node
    cdef double highest = -INFINITY, highest_last = -INFINITY, most = -INFINITY, bonus, room, end_room
    cdef double margin, low, reach
    cdef bint few_lead_to_root = not (s.token_model or s.unknown_bonus > -INFINITY)
    cdef float smeared
    cdef Child child
    cdef int i, k, n, token
    bonus = max(s.word_bonus, s.unknown_bonus)
    for token in range(s.n_classes):
        s.row_reach[token] = s.last_reach[token] = -INFINITY
        if s.allowed[token] and s.is_spelt[token]:
            s.row_reach[token] = row[token] + s.silence_bonus if token == s.silence else row[token]
            highest = max(highest, s.row_reach[token])
            if s.is_last[token]:
                s.last_reach[token] = s.row_reach[token]
                highest_last = max(highest_last, s.row_reach[token])
    node = &s.nodes[0]
    n = 0
    for i in range(s.n_groups):
        if s.groups[i].node == 0:
            most = max(most, s.groups[i].most)
            n = 1
    if n:
        n = sort_first_tokens(s, most, max(
            most_of_model(s) if s.token_model else weighed(s, node.rise),
            most_of_model(s) + bonus + MARGIN if node.ends else -INFINITY
        ))
    for i in range(s.n_groups):
        group = &s.groups[i]
        node = &s.nodes[group.node]
        smeared = node.bound if group.node else 0.0
        room = most_of_model(s) if s.token_model else weighed(s, node.rise)
        end_room = -INFINITY
        margin = 0.0
        if node.ends:
            end_room = most_of_model(s) if s.token_model else most_of_model(s) - s.lm_weight * smeared
            if s.log_add and (node.shared or not few_lead_to_root):
                margin = MARGIN
        if (
            group.most + highest + room < lowest(s)
            and group.most + highest_last + end_room + bonus < lowest(s) - margin
        ):
            continue
        if group.node == 0:
            for k in range(n):
                if group.most + s.reach[k] + max(room, end_room + bonus + margin) < lowest(s):
                    break
                go_to_child(s, paths, group, row, s.first_nodes[s.likely[k]], smeared, end_room, margin)
                s.work += 1
            continue
        s.work += node[1].children - node.children
        low = lowest(s)  # a child may raise it; the next then need not have been looked at
        for k in range(node.children, node[1].children):
            child = s.children[k]
            reach = group.most + s.row_reach[child.token]
            if reach + (room if s.token_model else weighed(s, child.step)) < low and (
                not node.ends or group.most + s.last_reach[child.token] + end_room + bonus < low - margin
            ):
                continue
            if s.allowed[child.token]:
                go_to_child(s, paths, group, row, k, smeared, end_room, margin)
    return 0
