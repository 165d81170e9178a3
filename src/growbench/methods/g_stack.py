"""G_stack: a shallow model stacked g times, once (Du et al., NeurIPS 2024; arXiv 2405.15319).

    M_t = M_s o M_s o ... o M_s,   g times            the paper finds g = 2 to 4 best and takes 4

Integer growth factors only. Embeddings, last norm and head are carried over. Width does not change. Does not preserve
the function.

Plan: a model with 1/g of the target's layers is trained from scratch, inside the budget, then stacked. Adam is reset;
the LR schedule continues. `at: rule` takes the paper's rule for the small model's tokens d, with N parameters of the
target and a budget of C FLOPs:

    log10 d = 0.88 log10 N + 163.27 / log10 C - 5.74

C is this study's budget (the paper: 6 N D). The rule was fitted at 410 M to 7 B parameters and C above 1e20. Far
below, d exceeds the budget, and the plan is refused. The default, `at: 0.1`, does not use the rule and fits any
budget: that the rule does not fit is no reason to leave this method out.
"""

from math import log10

from growbench.errors import GrowBenchError
from growbench.methods import Option, require_multiples
from growbench.methods.stack import Stack
from growbench.plan.plan import Plan, Prices, Stage
from growbench.spec import divisors

MOST = 0.95


class GStack(Stack):
    title = "G_stack"
    paper = "Du et al., NeurIPS 2024"
    ratios = "integer"
    needs_source = False
    options = {
        "g": Option(0, "number of copies; 0 means the largest divisor of the target's layers up to 4", range=(0, 1000)),
        "at": Option(0.1, "share of the budget at which the model is stacked", choices=("rule",), range=(0.001, MOST)),
    }

    def check(self, source, target, traits, options) -> None:
        super().check(source, target, traits, options)
        require_multiples(source, target, ("layers",), self.name)

    def plan(self, source, target, options, prices) -> Plan:
        known = divisors(target.layers)
        g = options["g"] or max(d for d in known if d <= 4)
        if g not in known:
            raise GrowBenchError(
                f"methods.{self.name}.g: {g} does not divide target.layers {target.layers}; use one of {known}"
            )
        small = target.resized(layers=target.layers // g)
        share = self._rule(small, prices) if options["at"] == "rule" else options["at"]
        return Plan(stages=(Stage(spec=small, until=share, enter="init"), Stage(spec=target, until=1.0, enter="grow")))

    def _rule(self, small, prices: Prices) -> float:
        """Return the share of the budget that the rule's tokens cost."""
        tokens = 10 ** (0.88 * log10(prices.parameters) + 163.27 / log10(prices.budget) - 5.74)
        share = tokens / prices.tokens * prices.step(Stage(spec=small, until=1.0, enter="init")) / prices.budget
        if share > MOST:
            raise GrowBenchError(
                f"methods.{self.name}.at: the rule asks for {tokens:.3g} tokens of the small model, {share:.3g} times the budget "
                f"of {prices.budget:.3g} FLOPs, far outside the range it was fitted on; use a share"
            )
        return share


METHOD = GStack()
