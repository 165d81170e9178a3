rule corpus:
    """Tokenize the study's text once."""
    output:
        CORPUS,
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
        made_from=of_study(triggers.corpus),
    shell:
        "granted=${{SLURM_CPUS_PER_TASK:-{threads}}};"
        " export RAYON_NUM_THREADS=$((granted < {threads} ? granted : {threads}));"
        " exec python -m growbench corpus {params.options} --only text --log {log}"


rule tasks:
    """Generate the study's toyglue tasks, or decode its tasks of images."""
    output:
        str(LAYOUT.tasks_manifest),
    log:
        LAYOUT.log("tasks"),
    benchmark:
        LAYOUT.benchmark("tasks")
    localrule: True
    resources:
        mem_mb=1000,
        runtime=30,
    params:
        options=options,
        made_from=of_study(triggers.tasks),
    shell:
        "exec python -m growbench corpus {params.options} --only tasks --log {log}"
