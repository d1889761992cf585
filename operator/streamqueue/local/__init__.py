"""A queue on a laptop: the decisions of the operator, over processes instead of pods."""
