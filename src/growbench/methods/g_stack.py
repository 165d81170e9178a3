"""G_stack: the whole source stacked g times (Du et al., NeurIPS 2024; arXiv 2405.15319).

    M_t = M_s o M_s o ... o M_s,   g times            the paper finds g = 4 best

A whole growth factor only; embeddings, last norm and head are carried over. Width is left alone. Not function preserving.
When to grow (the paper's rule for the source's tokens) is a plan's affair and not part of this operator.
"""

from growbench.methods._contract import require_multiples
from growbench.methods.stack import Stack


class GStack(Stack):
    title = "G_stack"
    paper = "Du et al., NeurIPS 2024"
    ratios = "whole"

    def check(self, source, target, traits, options) -> None:
        super().check(source, target, traits, options)
        require_multiples(source, target, ("layers",), self.name)


METHOD = GStack()
