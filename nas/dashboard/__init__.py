"""The dashboard: studies of a storage in a browser, followed while they run.

Figures are those of `nas.report`; what only a live page needs (brushing, drawings of networks) is here,
split in data and drawing as there. Nothing is imported before a command asks for it: Dash takes a second.
"""
