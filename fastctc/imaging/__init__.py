"""Images: reading them, morphology, and the lines and words of a page."""
