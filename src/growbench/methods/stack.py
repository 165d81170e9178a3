"""Stacking a trained source once: layer i of the target comes from layer i mod L_s of the source.

    [ 1 2 3 ] -> [ 1 2 3 1 2 3 ]

What StackBERT (Gong et al., ICML 2019) does at each doubling, here as one growth of a given source. At a non-integer
ratio the source's top layers are added on top (bert2BERT, section 3.4). Width does not change. Does not preserve the
function.
"""

from growbench.methods import Method


class Stack(Method):
    title = "Stacking"
    paper = "Gong et al., ICML 2019"
    grows = ("layers",)


METHOD = Stack()
