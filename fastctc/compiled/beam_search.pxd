"""The beams of a search, for this module and for streams."""

from fastctc.compiled.arena cimport Arena
from fastctc.compiled.character_model cimport CharacterModel
from fastctc.compiled.interrupts cimport look
from fastctc.compiled.lexicon_model cimport LexiconModel
from fastctc.compiled.memo cimport Memo
from fastctc.compiled.prefix_state cimport PrefixState

cdef enum:
    SIGNAL_WORK = 1 << 20  # candidates between two looks for Ctrl-C

cdef struct Beam:
    int node
    int label           # the last label, -1 of the empty prefix
    double blank        # probability of its paths that end in a blank
    double nonblank     # probability of its paths that end in its last label
    double total

# What may become a beam: a beam that stays (label -1) or is extended by a label. Where classes are sorted: a class.
cdef struct Candidate:
    double score
    int beam
    int label

# The beams of a frame, and what is known about them while the next frame is taken in. All arrays have room for `room`
# beams.
cdef struct BeamSet:
    Beam *beams                 # in descending order of their ranks; equal ones in the order of their texts
    Beam *next_beams
    Py_ssize_t n_beams
    Py_ssize_t width            # how many survive a frame
    Py_ssize_t room             # the greatest width for which there is memory
    Candidate *stays            # one a beam that has a path that stays
    Py_ssize_t n_stays
    Candidate *extensions       # up to 2 * room
    Candidate *classes          # of the frame, their probabilities as scores
    Candidate *sorted           # scratch of the sort, for the longest of these
    double *stay_blank          # of each beam, its two sums if it stays
    double *stay_nonblank
    const double **sources      # of each beam, which sum of its parent arrives there; NULL if that is no beam
    bint linked                 # whether the sources and the children are those of the beams
    double *reach               # of each beam: its total, times the bound of its prefix
    int *first_child            # of each beam the children that are beams themselves,
    int *next_child             # as linked lists of places among the beams
    int *cuts                   # of each beam, the node behind which a commit leaves it

# What may be dropped although it might survive.
cdef struct Thresholds:
    bint given
    double class_floor          # the least probability of a class, but for the most probable one
    double beam_floor           # the least rank of a beam, as a share of the best one's
    double *row                 # of the frame, the probabilities that are left
    double row_sum
    double dropped              # at most that much of all paths' probability has been dropped

cdef struct Search:
    Py_ssize_t n_classes
    int blank
    BeamSet beam_set
    Arena arena
    PrefixState *states         # one a node of the arena, if there is a model
    bint has_states
    bint has_characters
    bint has_words
    CharacterModel characters
    LexiconModel words
    Memo memo
    double *ceilings            # of each class the greatest factor of the model of characters; 1 without one
    Thresholds thresholds
    Py_ssize_t exponent         # all probabilities are to be multiplied by 2**exponent
    int frame
    Py_ssize_t worked           # candidates since the last look for Ctrl-C


cdef class Beams:
    cdef Search search
    cdef object arrays          # what the pointers of the models point to
    cdef bint busy              # a thread is at it
    cdef bint broken            # an error, or Ctrl-C, has left a frame half done

    cdef int take_character_model(self, given) except -1
    cdef int take_thresholds(self, given) except -1
    cdef int reserve(self, Py_ssize_t beam_width) except -1
    cdef int enter(self) except -1
    cdef void leave(self) noexcept


cdef inline int count_work(Search *s, Py_ssize_t work) except -1 nogil:
    """Count what has been done, and look for Ctrl-C now and then."""
    s.worked += work
    if s.worked > SIGNAL_WORK:
        s.worked = 0
        look()
    return 0


cdef int compact(Search *s) except -1 nogil
cdef void keep_roots(Search *s) noexcept nogil
cdef tuple labels_of(const Search *s, int node)
