"""GrowBench: from text to figures. Run from the repository root: `snakemake --cores all` (see README.md)."""

from snakemake.utils import min_version

min_version("9.20")

# The demo is the default; nothing of it is merged into another study.
if not workflow.overwrite_configfiles:

    configfile: "config/demo.yaml"


# The Python version that is tested. Packages come from constraints.txt (make) or environment.yml, not from an image.
container: "docker://python:3.11-slim"


report: "workflow/report/workflow.rst"


include: "workflow/rules/start.smk"


if LADDER:

    include: "workflow/rules/studies.smk"  # loads this file once more for each study

else:

    include: "workflow/rules/common.smk"


rule all:
    """Make the tables and figures, and the pages of the report: of the study, or of every study of the ladder."""
    input:
        **RESULTS,
    localrule: True


if LADDER:

    include: "workflow/rules/ladder.smk"

else:

    include: "workflow/rules/corpus.smk"
    include: "workflow/rules/search.smk"
    include: "workflow/rules/pretrain.smk"

    if STUDY.tasks.names:

        include: "workflow/rules/finetune.smk"
    include: "workflow/rules/zeroshot.smk"
    include: "workflow/rules/attention.smk"
    include: "workflow/rules/aggregate.smk"
    include: "workflow/rules/figures.smk"
    include: "workflow/rules/pages.smk"


onstart:
    announce()
    check_inputs()
    keep_warm()
    keep_jobs()
    note_unused()
    note_adopted()
