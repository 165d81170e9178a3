rule pages:
    """Turn tables, protocol and configuration into the pages of `snakemake --report`, and the tables into the explorer."""
    input:
        tables=[LAYOUT.tables / table for table in TABLES],
        protocol=os.path.relpath(Path(workflow.basedir, "docs/PROTOCOL.md")),
    output:
        explorer=report(
            str(LAYOUT.explorer),
            caption="../report/explorer.rst",
            category="Explorer",
            labels=labels(page="explorer"),
        ),
        pages=[
            report(
                str(LAYOUT.page(page)),
                caption=f"../report/tables/{page}.rst",
                category=category,
                labels=labels(page=page),
            )
            for page, category in PAGES.items()
        ],
    log:
        LAYOUT.log("pages"),
    localrule: True
    params:
        options=options,
        made_from=of_study(configuration),
    script:
        "../pages.py"
