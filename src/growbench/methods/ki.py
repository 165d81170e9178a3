"""KI: knowledge inheritance, the source as a teacher early on (Qin et al., NAACL 2022; arXiv 2105.13880).

The target starts from random weights. In the first stage the loss is

    L = (1 - w) L_self + w tau^2 KL(p_source(tau) || p_target(tau)),   w falling linearly from 1 to 0

on the predicted positions. Afterwards it is L_self alone, with the same Adam moments. Nothing is grown: this is the
distillation baseline. The source's forward passes are counted, and so is the source itself when everything is counted.

Defaults are those of the authors' script: 55k of 125k updates with the teacher, temperature 2. Deviation: `share` is
of FLOPs.
"""

from growbench.methods import Method, Option
from growbench.plan.plan import Plan, Stage


class Ki(Method):
    title = "Knowledge inheritance"
    paper = "Qin et al., NAACL 2022"
    grows = ()
    options = {
        "share": Option(0.44, "share of the budget with the teacher", range=(0.01, 0.9)),
        "weight": Option(1.0, "weight of the teacher's loss at the start", range=(0.01, 1.0)),
        "temperature": Option(2.0, "temperature of the teacher's and the target's predictions", range=(0.1, 100.0)),
    }

    def plan(self, source, target, options, prices) -> Plan:
        weight, temperature = options["weight"], options["temperature"]
        until = options["share"]
        taught = Stage(spec=target, until=until, enter="init", teacher=weight, temperature=temperature)
        return Plan(stages=(taught, Stage(spec=target, until=1.0, enter="keep", optimizer="copy")))


METHOD = Ki()
