"""The synthetic language: endless text from a seed, with topics, agreement over distance and a known entropy floor.

lexicon.py: the words. grammar.py: how they make sentences. text.py: drawing documents. sentences.py: single sentences
and changes to them. floor.py: the loss of a perfect model.
"""

from growbench.synthetic.floor import floors
from growbench.synthetic.text import documents

VERSION = 1

__all__ = ["VERSION", "documents", "floors"]
