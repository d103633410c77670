"""How much of what can be reached search strategies reach, beside each other and beside other libraries'.

python -m benchmarks.search --help
"""
