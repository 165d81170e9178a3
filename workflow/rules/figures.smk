rule figures:
    """Draw one figure from the tables; each script in workflow/figures is one figure."""
    input:
        unpack(figure_tables),
    output:
        png=report(
            "figures/{study}/{figure}.png",
            caption="../report/figure.rst",
            category="Figures",
            labels={"figure": "{figure}"},
        ),
        pdf="figures/{study}/{figure}.pdf",
    log:
        "logs/{study}/figures/{figure}.log",
    localrule: True
    params:
        caption=caption,
    script:
        "../figures/{wildcards.figure}.py"
