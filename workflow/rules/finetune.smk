rule finetune:
    """Fine-tune (or probe) the finished points of a method's runs on every task with every fine-tuning seed."""
    input:
        expand(RECORD, seed=STUDY.seeds, allow_missing=True),
        corpus=CORPUS,
        tasks=TOYGLUE,
    output:
        FINETUNE_RECORDS,
    log:
        LAYOUT.log("finetune", "{method}"),
    benchmark:
        LAYOUT.benchmark("finetune", "{method}")
    wildcard_constraints:
        method="|".join(WHOLE),
    threads: STUDY.finetune.threads
    resources:
        **gpus(min(1, STUDY.train.gpus)),
        cpus_per_task=STUDY.finetune.threads,
        mem_mb=memory(4000),
        runtime=480,
    params:
        options=options,
        made_from=of_study(triggers.finetune),
        method="{method}",
        seeds=seeds,
        points=points,
    shell:
        "exec python -m growbench finetune {params.options} --method {params.method} --seed {params.seeds}"
        " --points {params.points} --log {log}"


if ONE_POINT:

    use rule finetune as finetune_one_point with:
        output:
            FINETUNED_POINT,
        log:
            LAYOUT.log("finetune", "{method}-{point}"),
        benchmark:
            LAYOUT.benchmark("finetune", "{method}-{point}")
        wildcard_constraints:
            method="|".join(ONE_POINT),
            point=r"p\d+",
        params:
            points="{point}",


use rule finetune as finetune_source with:
    input:
        expand(SOURCE_RECORD, seed=STUDY.seeds, allow_missing=True),
        corpus=CORPUS,
        tasks=TOYGLUE,
    output:
        SOURCE_FINETUNED,
    log:
        LAYOUT.log("finetune", "source"),
    benchmark:
        LAYOUT.benchmark("finetune", "source")
    params:
        method="source",
        points="p100",
