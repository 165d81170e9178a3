rule figures:
    """Draw one figure from the tables; each script in workflow/figures is one figure."""
    input:
        **{name: f"results/{{study}}/tables/{name}.csv" for name in ("points", "savings", "scores", "curves", "runs")},
    output:
        png=report(
            "figures/{study}/{figure}.png",
            caption="../report/figure.rst",
            category="Figures",
        ),
        pdf="figures/{study}/{figure}.pdf",
    log:
        "logs/{study}/figures/{figure}.log",
    localrule: True
    params:
        caption=caption,
    script:
        "../figures/{wildcards.figure}.py"
