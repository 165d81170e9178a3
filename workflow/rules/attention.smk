rule attention:
    """Measure where the heads of one seed's finished models look."""
    input:
        models_of_all,
        again=again_evaluation(ATTENTION),
    output:
        ATTENTION,
    log:
        LAYOUT.log("attention", "s{seed}"),
    benchmark:
        LAYOUT.benchmark("attention", "s{seed}")
    wildcard_constraints:
        seed=among(seed for seed in STUDY.seeds if seed not in ADOPTED.attention),
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
