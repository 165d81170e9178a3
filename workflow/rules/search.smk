rule search:
    """Try learning rates and warm-ups for a method, each with a share of the budget."""
    input:
        corpus=CORPUS,
        source=source_of_trials,
        again=again_search,
    output:
        SEARCH_RECORD,
    log:
        LAYOUT.log("search", "{method}"),
    benchmark:
        LAYOUT.benchmark("search", "{method}")
    wildcard_constraints:
        method=among(name for name in STUDY.methods if name not in ADOPTED.searches),
    threads: CORES
    resources:
        **spread(STUDY.train),
        cpus_per_task=CPUS,
        mem_mb=memory(6000 * STUDY.train.processes),
        runtime=1440,
    params:
        options=options,
        made_from=of_method(triggers.search),
        method="{method}",
    shell:
        "exec python -m growbench search {params.options} --method {params.method} --log {log}"


use rule search as search_source with:
    input:
        corpus=CORPUS,
        again=again_search,
    output:
        SOURCE_SEARCH,
    log:
        LAYOUT.log("search", "source"),
    benchmark:
        LAYOUT.benchmark("search", "source")
    wildcard_constraints:
        study=unless(SOURCE in ADOPTED.searches, STUDY.study),
    resources:
        **spread(STUDY.train),
        cpus_per_task=CPUS,
        mem_mb=memory(4000 * STUDY.train.processes),
        runtime=1440,
    params:
        method="source",
