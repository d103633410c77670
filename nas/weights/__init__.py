"""Weights from elsewhere: files under other names, as the start of a network or of a whole supernet, and back."""
