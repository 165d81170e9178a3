rule finetune_source:
    """Fine-tune the finished source of every seed, for studies that ask for it."""
    input:
        expand("results/{{study}}/records/pretrain/source-s{seed}.json", seed=STUDY.seeds),
        corpus=CORPUS,
        tasks=TOYGLUE,
    output:
        SOURCE_FINETUNED,
    log:
        "logs/{study}/finetune/source.log",
    benchmark:
        "benchmarks/{study}/finetune/source.tsv"
    threads: STUDY.finetune.threads
    resources:
        cpus_per_task=STUDY.finetune.threads,
        mem_mb=memory(4000),
        runtime=480,
    params:
        options=options,
        points="p100",
        seeds=STUDY.seeds,
        finetuned=finetuned,
    shell:
        "exec python -m growbench finetune {params.options} --method source --seed {params.seeds}"
        " --points {params.points} --log {log}"


rule finetune:
    """Fine-tune the finished points of a method's runs on every task with every fine-tuning seed."""
    input:
        expand("results/{{study}}/records/pretrain/{{method}}-s{seed}.json", seed=STUDY.seeds),
        corpus=CORPUS,
        tasks=TOYGLUE,
    output:
        FINETUNE_RECORDS,
    log:
        "logs/{study}/finetune/{method}.log",
    benchmark:
        "benchmarks/{study}/finetune/{method}.tsv"
    threads: STUDY.finetune.threads
    resources:
        **gpus(min(1, STUDY.train.gpus)),
        cpus_per_task=STUDY.finetune.threads,
        mem_mb=memory(4000),
        runtime=480,
    params:
        options=options,
        points=points,
        seeds=STUDY.seeds,
        finetuned=finetuned,
    shell:
        "exec python -m growbench finetune {params.options} --method {wildcards.method} --seed {params.seeds}"
        " --points {params.points} --log {log}"
