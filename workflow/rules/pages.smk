rule pages:
    """Turn tables, protocol and configuration into pages that `snakemake --report` shows."""
    input:
        tables=expand("results/{{study}}/tables/{table}", table=TABLES),
        protocol=f"{workflow.basedir}/docs/PROTOCOL.md",
        config=CONFIG_FILES,
    output:
        [
            report(
                f"results/{{study}}/report/{page}.html",
                caption=f"../report/tables/{page}.rst",
                category=category,
                labels={"page": page},
            )
            for page, category in PAGES.items()
        ],
    log:
        "logs/{study}/pages.log",
    localrule: True
    params:
        options=options,
    script:
        "../pages.py"
