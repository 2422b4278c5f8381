"""What a search over paths remembers: its settings, the paths of all frames, and the candidates of the last."""

from libc.stdint cimport int32_t, uint32_t
from libc.stdlib cimport realloc

from fastctc.compiled.kenlm cimport Model, Words

cdef enum:
    END = -1            # the token that stands for the end of a text
    NOTHING = -2        # no token: the state is there already
    RECENT = 1 << 12    # scores of the model that are at hand, a power of 2

# A hypothesis, as in the reference.
cdef struct Path:
    double score
    double emission
    double lm_score
    int lm
    int node
    int token
    int word
    int parent
    bint is_blank

cdef struct Candidate:
    double score        # of all paths that agree
    double best         # of the best of them; what follows is that path's
    double gain         # the model's share
    int lm              # with a label: the state before it
    int label           # NOTHING, or what leads to a state that is not there yet
    int node
    int token
    int word
    int parent
    int first_raw       # the scores of all that agree, where two or more are added up, or -1
    bint is_blank
    bint settled        # all that agree have been added

cdef struct Raw:
    double score
    int next

# What the language model knows about a state and a token.
cdef struct Edge:
    int origin
    int label
    int target
    float score

# What the model gave a token lately.
cdef struct Answer:
    int text                # the number of the text that was searched
    int origin
    int label
    float score

# A candidate in the order of scores.
cdef struct Rank:
    double score
    int candidate

# A node of the spellings' tree. Its children, and its words, end where those of the next node begin.
cdef struct Node:
    int token
    int parent
    int children
    int words
    float bound
    float step          # by how much the bound is above that of the parent, or above 0 below the root
    float rise          # the greatest step of a child that has children
    char ends           # whether a word ends at a child
    char shared         # whether a word that ends at a child is spelled otherwise too

# What the children of a node are looked through for.
cdef struct Child:
    int token
    float step          # as of the node; -inf if it has no children

# The paths at one state of the model and one node.
cdef struct Group:
    double most         # no sum of their scores is higher
    int lm
    int node
    int first

cdef struct Search:
    int n_classes
    int blank
    int silence
    int unknown
    int beam_width
    int tokens_per_frame
    double threshold
    double lm_weight
    double word_bonus
    double unknown_bonus
    double silence_bonus
    bint log_add
    bint token_model
    bint with_tree
    bint with_kenlm
    bint asking             # the model is Python's
    double ceiling          # the most that the model gives
    Node *nodes
    int n_nodes
    Child *children         # of each node; they lie close together
    const int32_t *words
    int *places             # of words, by word, -1 if nothing is there; a table of a power of 2
    int n_places
    int *next_spelling      # of each place in words, the next of the same word, or -1
    int *ends               # of each place in words, the node
    int *first_nodes        # of each token, the child of the root, or -1
    char *is_spelt          # of each token, whether it is part of a word
    char *is_last           # of each token, whether a word ends with it
    Model kenlm
    Words start             # the state of the empty text
    const int32_t *numbers  # the model's, of each token or word
    uint32_t end_number
    int context             # numbers that a state of the model takes: its length, words, and their back-off weights
    Path *paths             # of all frames
    Py_ssize_t n_paths
    Py_ssize_t path_room
    Py_ssize_t *frames      # where the paths of each frame begin, and the end
    Py_ssize_t n_frames
    Py_ssize_t frame_room
    Edge *edges
    int n_edges
    int edge_room
    int *edge_table
    int edge_table_size
    uint32_t *states        # of KenLM
    int n_states
    int state_room
    Candidate *candidates
    int n_candidates
    int candidate_room
    int *table              # of candidates
    int table_size
    Raw *raws
    int n_raws
    int raw_room
    Group *groups
    int n_groups
    int *group_table
    int group_table_size
    int *next_in_group
    int *stays              # of each path, the candidate of the same class again, or -1
    Rank *ranked
    Rank *spare
    int *bins               # of the ranking
    double *scores
    double spread           # by how much the last path that was kept is worse than the best, lately
    Answer *answers         # where they would be, if they were asked for lately
    int text                # how many texts have begun
    char *allowed
    int *likely
    double *reach           # of each class in ``likely``, its score with the most that the model may add
    double *row_reach       # of each class, its score; -inf if it is not allowed or in no word
    double *last_reach      # the same of those with which words end
    int *wanted             # pairs that the model is to be asked
    int n_wanted
    int wanted_room
    double bound
    double best
    int next_tightening
    Py_ssize_t work


cdef inline int no_memory() except -1 nogil:
    with gil:
        raise MemoryError()


cdef inline int resize(void **memory, size_t size) except -1 nogil:
    cdef void *result = realloc(memory[0], size)
    if result is NULL:
        no_memory()
    memory[0] = result
    return 0


cdef inline uint32_t mixed(uint32_t a, uint32_t b) noexcept nogil:
    cdef uint32_t h = a * <uint32_t> 0x9e3779b1 ^ (b + <uint32_t> 0x85ebca6b) * <uint32_t> 0xc2b2ae35
    return h ^ (h >> 15)
