"""GrowBench: from text to figures. Run from the repository root: `snakemake --cores all` (see README.md)."""

from snakemake.utils import min_version

min_version("9.20")

if (
    not workflow.overwrite_configfiles
):  # a study's file stands alone: nothing of the demo is merged into it

    configfile: "config/demo.yaml"


container: "docker://python:3.11-slim"


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"
include: "workflow/rules/corpus.smk"
include: "workflow/rules/pretrain.smk"
include: "workflow/rules/finetune.smk"
include: "workflow/rules/aggregate.smk"
include: "workflow/rules/figures.smk"


rule all:
    default_target: True
    """Everything that a study's reader wants: its tables and figures."""
    input:
        tables=expand("results/{study}/tables/{table}", study=STUDY.study, table=TABLES),
        figures=expand(
            "figures/{study}/{figure}.{kind}",
            study=STUDY.study,
            figure=FIGURES,
            kind=["png", "pdf"],
        ),
    localrule: True


onstart:
    check_inputs()
