"""The one reader of measured tables: files that somebody else's tool or hands filled with numbers.

`sheet` reads the cells as text, `cells` turns them into numbers, `units` decides what unit accuracies are in, `archs`
finds the architecture of each row, `problems` says everything that is wrong at once. What is refused and what is left
out is in docs/measured-tables.md.
"""
