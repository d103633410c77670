"""The model taken away: exported, run in its runtime, compared with PyTorch before anyone is told it is done."""
