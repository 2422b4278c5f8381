"""What the models know about a prefix of a beam search; fastctc.search_inputs.PrefixState, and what speed needs."""

cdef struct PrefixState:
    int char_state      # of the model of characters
    int char_row        # where its answers about the next label stand in the memo, -1 if nowhere yet
    int lexicon_node    # of the prefix tree; -1 between words, -2 in a word that is not in the lexicon
    int word_row        # where the next labels and their forecasts stand in the memo, -1 if nowhere yet
    double factor       # the last label has multiplied the probability of the paths by this
    int lm_state        # of the model of words
    int n_words         # how many words have ended
    double lm_log_prob  # log probability of the words that have ended
    double plain_weight     # the weight without the share of the hot words
    double weight       # the prefix is ranked by the probability of its paths times this
    double bound        # the greatest weight that it may have after one more label, times that label's factor
    int hot_node        # of the tree of hot words, -1 in none of them
