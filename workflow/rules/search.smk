rule search_source:
    """Try learning rates for the source, for studies that search."""
    input:
        corpus=CORPUS,
    output:
        SOURCE_SEARCH,
    log:
        "logs/{study}/search/source.log",
    benchmark:
        "benchmarks/{study}/search/source.tsv"
    threads: CORES
    resources:
        **gpus(STUDY.train.gpus),
        cpus_per_task=CORES,
        mem_mb=memory(4000 * STUDY.train.processes),
        runtime=1440,
    params:
        options=options,
        tried=tried,
    shell:
        "exec python -m growbench search {params.options} --method source --log {log}"


rule search:
    """Try learning rates for a method, each with a share of the budget."""
    input:
        corpus=CORPUS,
        source=first_source,
        method=method_files,
    output:
        SEARCH_RECORD,
    log:
        "logs/{study}/search/{method}.log",
    benchmark:
        "benchmarks/{study}/search/{method}.tsv"
    threads: CORES
    resources:
        **gpus(STUDY.train.gpus),
        cpus_per_task=CORES,
        mem_mb=memory(6000 * STUDY.train.processes),
        runtime=1440,
    params:
        options=options,
        tried=tried,
    shell:
        "exec python -m growbench search {params.options} --method {wildcards.method} --log {log}"
