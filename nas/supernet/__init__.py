"""Assembling, training and extracting weight-sharing supernets."""
