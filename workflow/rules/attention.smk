rule attention:
    """Measure where the heads of one seed's finished models look."""
    input:
        expand(RECORD, method=STUDY.trained(), allow_missing=True),
    output:
        ATTENTION,
    log:
        LAYOUT.log("attention", "s{seed}"),
    benchmark:
        LAYOUT.benchmark("attention", "s{seed}")
    resources:
        **gpus(min(1, STUDY.train.gpus)),
        cpus_per_task=1,
        mem_mb=memory(4000),
        runtime=60,
    params:
        options=options,
        made_from=of_study(triggers.attention),
    shell:
        "exec python -m growbench attention {params.options} --seed {wildcards.seed} --log {log}"
