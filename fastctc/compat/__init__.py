"""The interfaces of other packages, so that programs written for them run on this one with another import.

``python -m fastctc.compat NAME -- script.py`` runs a program unchanged.
"""

MODULES = ("ctc_decoder", "word_beam_search")
