rule pretrain:
    """Train one method, for one seed or all of them: trunk, growths, and a finished point at each share of the budget."""
    input:
        corpus=CORPUS,
        source=source_records,
        rate=search_record,
        again=again_run,
    output:
        records=of_seeds(RECORD),
        curves=of_seeds(CURVE),
        documents=of_seeds(DOCUMENTS),
    log:
        LAYOUT.log("pretrain", job_name("{method}")),
    benchmark:
        LAYOUT.benchmark("pretrain", job_name("{method}"))
    wildcard_constraints:
        method=but(STUDY.methods, done_runs()),
    threads: CORES
    resources:
        **spread(STUDY.train),
        cpus_per_task=CPUS,
        mem_mb=memory(6000 * STUDY.train.processes),
        runtime=1440,
    params:
        options=options,
        made_from=of_method(triggers.run),
        method="{method}",
        seeds=seeds,
    shell:
        "exec python -m growbench pretrain {params.options} --method {params.method} --seed {params.seeds} --log {log}"


use rule pretrain as source with:
    input:
        corpus=CORPUS,
        rate=SOURCE_SEARCH if STUDY.searched("source") else [],
        again=again_run,
    output:
        records=of_seeds(SOURCE_RECORD),
        curves=of_seeds(SOURCE_CURVE),
        documents=of_seeds(SOURCE_DOCUMENTS),
    log:
        LAYOUT.log("pretrain", job_name("source")),
    benchmark:
        LAYOUT.benchmark("pretrain", job_name("source"))
    wildcard_constraints:
        seed=among(seed for seed in STUDY.seeds if (SOURCE, seed) not in ADOPTED.runs),
        study=unless(STUDY.train.together and all((SOURCE, seed) in ADOPTED.runs for seed in STUDY.seeds), STUDY.study),
    resources:
        **spread(STUDY.train),
        cpus_per_task=CPUS,
        mem_mb=memory(4000 * STUDY.train.processes),
        runtime=1440,
    params:
        method="source",


if TRIAL_SEED is not None:

    use rule source as source_of_trials with:
        output:
            records=of_trials(SOURCE_RECORD),
            curves=of_trials(SOURCE_CURVE),
            documents=of_trials(SOURCE_DOCUMENTS),
        log:
            LAYOUT.log("pretrain", run_name("source", TRIAL_SEED)),
        benchmark:
            LAYOUT.benchmark("pretrain", run_name("source", TRIAL_SEED))
        wildcard_constraints:
            study=unless((SOURCE, TRIAL_SEED) in ADOPTED.runs, STUDY.study),
        params:
            method="source",
            seeds=TRIAL_SEED,


use rule pretrain as restore with:
    input:
        corpus=CORPUS,
        source=source_records,
        record=str(LAYOUT.run_record("{method}", "{seed}")),
    output:
        str(LAYOUT.run("{method}", "{seed}").restored),
    log:
        LAYOUT.log("pretrain", run_name("{method}", "{seed}") + "-restored"),
    benchmark:
        LAYOUT.benchmark("pretrain", run_name("{method}", "{seed}") + "-restored")
    wildcard_constraints:
        method="|".join([*STUDY.methods, SOURCE]),
        seed="|".join(map(str, [*STUDY.seeds, *filter(None, [TRIAL_SEED])])),
    params:
        seeds="{seed} --restore",
