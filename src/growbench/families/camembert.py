"""CamemBERT (Martin et al., ACL 2020; arXiv 1911.03894): RoBERTa on French."""

from growbench.families.roberta import Roberta


class Camembert(Roberta):
    model_type = "camembert"
    stock = "Camembert"
    pretraining = "CamembertForMaskedLM"
    published = ("CamemBERT",)


FAMILY = Camembert()
