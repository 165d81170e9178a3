"""The synthetic language: text without end from a seed, with topics, agreement over distance and a known entropy floor.

lexicon.py says which words there are, grammar.py how they make sentences, text.py draws documents, floor.py computes
what a perfect model would still lose.
"""

from growbench.synthetic.floor import floors
from growbench.synthetic.text import documents

VERSION = 1

__all__ = ["VERSION", "documents", "floors"]
