"""Language models: n-grams of characters or words, trained from text or read from the files of other programs."""
