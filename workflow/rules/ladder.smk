rule ladder:
    """Compare the studies: tables and figures over all of them."""
    input:
        [study.STUDY.layout.tables / table for study in STUDIES for table in COMPARED if table in study.TABLES],
    output:
        tables=[TOGETHER.tables / table for table in TABLES],
        figures=[
            report(
                str(TOGETHER.figure(name, ending)),
                caption="../report/ladder_figure.rst",
                category="Ladder",
                labels={"figure": name, "file": ending},
            )
            for name in FIGURES
            for ending in ("png", "pdf")
        ],
        explorer=report(
            str(TOGETHER.explorer),
            caption="../report/explorer.rst",
            category="Explorer",
            labels={"figure": "explorer", "file": "html"},
        ),
    log:
        TOGETHER.log("ladder"),
    localrule: True
    params:
        options=options,
        made_from=shell_words.spelled(triggers.ladder()) if workflow.is_main_process else None,
    shell:
        "exec python -m growbench ladder {params.options} --log {log}"
