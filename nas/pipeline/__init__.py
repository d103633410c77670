"""A run from space to front: training, searching, storing and reporting."""
