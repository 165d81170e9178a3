rule zeroshot:
    """Score one finished point of a method's runs on test sets, without fine-tuning."""
    input:
        models_of_method,
        corpus=CORPUS,
        again=again_evaluation(ZEROSHOT_RECORDS),
    output:
        ZEROSHOT_RECORDS,
    log:
        LAYOUT.log("zeroshot", "{method}-{point}"),
    benchmark:
        LAYOUT.benchmark("zeroshot", "{method}-{point}")
    wildcard_constraints:
        method=but(STUDY.methods, done_points(ADOPTED.zeroshot)),
    threads: STUDY.zeroshot.threads
    resources:
        **gpus(min(1, STUDY.train.gpus)),
        cpus_per_task=STUDY.zeroshot.threads,
        mem_mb=memory(4000),
        runtime=480,
    params:
        options=options,
        seeds=seeds,
        made_from=of_study(triggers.zeroshot),
    shell:
        "exec python -m growbench zeroshot {params.options} --method {wildcards.method} --seed {params.seeds}"
        " --points {wildcards.point} --log {log}"
