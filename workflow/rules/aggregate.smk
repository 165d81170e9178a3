rule aggregate:
    """Turn all records into tables: runs, finished points, savings, scores, and the papers' tables."""
    input:
        search=search_records,
        pretrain=pretrain_records,
        finetune=finetune_records,
        zeroshot=zeroshot_records,
        attention=attention_record,
    output:
        [
            report(
                str(LAYOUT.tables / table),
                caption=f"../report/tables/{Path(table).stem}.rst",
                category="Tables, the files",
                labels=labels(file=table),
            )
            for table in TABLES
        ],
    log:
        LAYOUT.log("aggregate"),
    benchmark:
        LAYOUT.benchmark("aggregate")
    localrule: True
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        options=options,
        made_from=of_study(triggers.tables),
    shell:
        "exec python -m growbench aggregate {params.options} --log {log}"
