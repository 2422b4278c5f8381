"""Review: a local page on which doubtful words are settled, and what was settled is kept."""
