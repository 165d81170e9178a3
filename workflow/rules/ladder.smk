rule ladder:
    """Compare the studies: tables and figures over all of them."""
    input:
        [study.STUDY.layout.tables / table for study in STUDIES for table in COMPARED if table in study.TABLES],
    log:
        Layout(LADDER.name).log("ladder"),
    localrule: True
    params:
        options=options,
    shell:
        "exec python -m growbench ladder {params.options} --log {log}"
