rule corpus:
    """Tokenise the study's text once; generate the toyglue tasks where the study uses them."""
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
        "export RAYON_NUM_THREADS=${{SLURM_CPUS_PER_TASK:-{threads}}};"
        " exec python -m growbench corpus {params.options} --log {log}"
