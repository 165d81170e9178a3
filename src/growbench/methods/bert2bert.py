"""bert2BERT in two stages (Chen et al., ACL 2022, section 3.5): AKI or FPI, then sub-models, then the whole model.

    stage 1:  each step draws one of the depths l_b, 2 l_b, ..., L of the grown model, runs it, and updates its top l_b
              layers and the head
    stage 2:  the whole model

`E_b` is stage 1's share of the steps that scratch would take (the paper: 5 of 40 epochs). `l_b` is the number of
layers in a block; 0 means a quarter of the target (the paper's 3 of 12), or the largest divisor below it. A step of
stage 1 costs, on average, ((L + l_b) / 2 L + 2 l_b / L) / 3 of a full one (body alone; 0.40 with BERT-base's head).
Stage 1 therefore takes E_b times that of the budget. Widening, depth and their options: as in bert2bert_aki and
bert2bert_fpi.

Deviation: depths are drawn in rounds. Each round has every depth once, in random order, so that their cost is exact.
"""

from dataclasses import replace

from growbench.errors import GrowBenchError
from growbench.growth.widening import Widening
from growbench.methods import Option
from growbench.methods.bert2bert_aki import Bert2BertAki
from growbench.methods.bert2bert_fpi import OPTIONS, Bert2BertFpi
from growbench.plan.plan import Plan, Stage
from growbench.spec import divisors


class Bert2Bert(Bert2BertAki):
    title = "bert2BERT"
    options = {
        **OPTIONS,
        "init": Option("aki", "how the target is initialized", choices=("aki", "fpi")),
        "E_b": Option(0.125, "steps on sub-models, as a share of scratch's steps", range=(0.001, 0.9)),
        "l_b": Option(0, "layers in a block; 0 means a quarter of the target", range=(0, 1000)),
    }

    def exact(self, source, target, traits, options) -> bool:
        return options["init"] == "fpi" and Bert2BertFpi.exact(self, source, target, traits, options)

    def widen(self, source, target, options, rng) -> Widening:
        kind = Bert2BertAki if options["init"] == "aki" else Bert2BertFpi
        return kind.widen(self, source, target, options, rng)

    def plan(self, source, target, options, prices) -> Plan:
        layers = target.layers
        block = options["l_b"] or max(d for d in divisors(layers) if d <= max(1, layers // 4))
        if layers % block:
            raise GrowBenchError(
                f"methods.{self.name}.l_b: {block} does not divide target.layers {layers}; use one of {divisors(layers)}"
            )
        blocks = Stage(spec=target, until=1.0, enter="source", block=block)
        full = Stage(spec=target, until=1.0, enter="keep")
        share = options["E_b"] * prices.step(blocks) / prices.step(full)
        return Plan(stages=(replace(blocks, until=share), full))


METHOD = Bert2Bert()
