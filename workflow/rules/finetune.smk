rule finetune:
    """Fine-tune a run's finished points on every task with every fine-tuning seed."""
    input:
        record="results/{study}/records/pretrain/{method}-s{seed}.json",
        corpus=CORPUS,
        tasks=TOYGLUE,
    output:
        FINETUNE_RECORDS,
    log:
        "logs/{study}/finetune/{method}-s{seed}.log",
    benchmark:
        "benchmarks/{study}/finetune/{method}-s{seed}.tsv"
    threads: STUDY.finetune.threads
    resources:
        cpus_per_task=STUDY.finetune.threads,
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=480,
    params:
        options=options,
        points=points,
        finetuned=finetuned,
    shell:
        "python -m growbench finetune {params.options} --method {wildcards.method} --seed {wildcards.seed}"
        " --points {params.points} --log {log}"
