rule finetune:
    """Fine-tune one finished point on every task with every fine-tuning seed."""
    input:
        record="results/{study}/records/pretrain/{method}-s{seed}.json",
        corpus=CORPUS,
        tasks=TOYGLUE,
    output:
        record="results/{study}/records/finetune/{method}-s{seed}-{point}.json",
    log:
        "logs/{study}/finetune/{method}-s{seed}-{point}.log",
    benchmark:
        "benchmarks/{study}/finetune/{method}-s{seed}-{point}.tsv"
    threads: STUDY.finetune.threads
    resources:
        cpus_per_task=STUDY.finetune.threads,
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=480,
    params:
        options=options,
        finetuned=finetuned,
    shell:
        "python -m growbench finetune {params.options} --method {wildcards.method} --seed {wildcards.seed}"
        " --points {wildcards.point} --log {log}"
