rule source:
    """Train the small source model that growing methods start from."""
    input:
        corpus=CORPUS,
        rate=SOURCE_SEARCH if STUDY.searched("source") else [],
    output:
        record=SOURCE_RECORD,
        curve="results/{study}/records/pretrain/source-s{seed}.csv",
    log:
        "logs/{study}/pretrain/source-s{seed}.log",
    benchmark:
        "benchmarks/{study}/pretrain/source-s{seed}.tsv"
    threads: CORES
    resources:
        **gpus(STUDY.train.gpus),
        cpus_per_task=CORES,
        mem_mb=memory(4000 * STUDY.train.processes),
        runtime=1440,
    params:
        options=options,
        trained=trained,
    shell:
        "exec python -m growbench pretrain {params.options} --method source --seed {wildcards.seed} --log {log}"


rule pretrain:
    """Run one method's plan for one seed: trunk, growths, and a finished point at each share of the budget."""
    input:
        corpus=CORPUS,
        source=source_record,
        rate=search_record,
        method=method_files,
    output:
        record="results/{study}/records/pretrain/{method}-s{seed}.json",
        curve="results/{study}/records/pretrain/{method}-s{seed}.csv",
    log:
        "logs/{study}/pretrain/{method}-s{seed}.log",
    benchmark:
        "benchmarks/{study}/pretrain/{method}-s{seed}.tsv"
    threads: CORES
    resources:
        **gpus(STUDY.train.gpus),
        cpus_per_task=CORES,
        mem_mb=memory(6000 * STUDY.train.processes),
        runtime=1440,
    params:
        options=options,
        trained=trained,
    shell:
        "exec python -m growbench pretrain {params.options} --method {wildcards.method} --seed {wildcards.seed} --log {log}"
