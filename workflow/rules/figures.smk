rule figures:
    """Draw one figure from the tables. Each script in workflow/figures is one figure."""
    input:
        unpack(figure_tables),
    output:
        png=report(
            str(LAYOUT.figure("{figure}", "png")),
            caption="../report/figure.rst",
            category="Figures",
            labels=labels(figure="{figure}"),
        ),
        pdf=LAYOUT.figure("{figure}", "pdf"),
    log:
        LAYOUT.log("figures", "{figure}"),
    localrule: True
    params:
        caption=caption,
        figures=figure_names,
        made_from=of_study(triggers.figures),
    script:
        "../figures/{wildcards.figure}.py"
