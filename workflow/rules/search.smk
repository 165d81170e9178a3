rule search:
    """Try learning rates and warm-ups for a method, each with a share of the budget."""
    input:
        corpus=CORPUS,
        source=source_of_trials,
    output:
        SEARCH_RECORD,
    log:
        LAYOUT.log("search", "{method}"),
    benchmark:
        LAYOUT.benchmark("search", "{method}")
    threads: CORES
    resources:
        **gpus(STUDY.train.gpus),
        cpus_per_task=CORES,
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
    output:
        SOURCE_SEARCH,
    log:
        LAYOUT.log("search", "source"),
    benchmark:
        LAYOUT.benchmark("search", "source")
    resources:
        **gpus(STUDY.train.gpus),
        cpus_per_task=CORES,
        mem_mb=memory(4000 * STUDY.train.processes),
        runtime=1440,
    params:
        method="source",
