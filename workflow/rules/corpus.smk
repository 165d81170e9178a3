rule corpus:
    """Tokenize the study's text once, and generate the toyglue tasks if the study uses them."""
    output:
        manifest=CORPUS,
        tasks=TOYGLUE,
    log:
        LAYOUT.log("corpus"),
    benchmark:
        LAYOUT.benchmark("corpus")
    threads: 4
    resources:
        cpus_per_task=4,
        mem_mb=memory(8000),
        runtime=240,
    params:
        options=options,
        corpus=[asdict(STUDY.corpus), asdict(STUDY.objective)],  # the entropy floor depends on the objective
    shell:
        "granted=${{SLURM_CPUS_PER_TASK:-{threads}}};"
        " export RAYON_NUM_THREADS=$((granted < {threads} ? granted : {threads}));"
        " exec python -m growbench corpus {params.options} --log {log}"
