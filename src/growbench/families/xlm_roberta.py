"""XLM-RoBERTa (Conneau et al., ACL 2020; arXiv 1911.02116): RoBERTa on a hundred languages."""

from growbench.families.roberta import Roberta


class XlmRoberta(Roberta):
    model_type = "xlm-roberta"
    stock = "XLMRoberta"
    pretraining = "XLMRobertaForMaskedLM"
    published = ("XLM-R",)


FAMILY = XlmRoberta()
