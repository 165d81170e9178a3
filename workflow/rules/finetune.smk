rule finetune:
    """Fine-tune (or probe) the finished points of a method's runs on every task with every fine-tuning seed."""
    input:
        models_of_method,
        corpus=CORPUS,
        tasks=TOYGLUE,
        again=again_evaluation(FINETUNE_RECORDS),
    output:
        FINETUNE_RECORDS,
    log:
        LAYOUT.log("finetune", "{method}"),
    benchmark:
        LAYOUT.benchmark("finetune", "{method}")
    wildcard_constraints:
        method=among(name for name in WHOLE if not finetuned(name)),
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
        input:
            models_of_method,
            corpus=CORPUS,
            tasks=TOYGLUE,
            again=again_evaluation(FINETUNED_POINT),
        output:
            FINETUNED_POINT,
        log:
            LAYOUT.log("finetune", "{method}-{point}"),
        benchmark:
            LAYOUT.benchmark("finetune", "{method}-{point}")
        wildcard_constraints:
            method=but(ONE_POINT, done_points(ADOPTED.finetuned)),
            point=r"p\d+",
        params:
            points="{point}",


use rule finetune as finetune_source with:
    input:
        models_of_method,
        corpus=CORPUS,
        tasks=TOYGLUE,
        again=again_evaluation(SOURCE_FINETUNED),
    output:
        SOURCE_FINETUNED,
    log:
        LAYOUT.log("finetune", "source"),
    benchmark:
        LAYOUT.benchmark("finetune", "source")
    wildcard_constraints:
        study=unless(finetuned(SOURCE), STUDY.study),
    params:
        method="source",
        points="p100",
