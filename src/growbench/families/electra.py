"""ELECTRA (Clark et al., ICLR 2020; arXiv 2003.10555): BERT's encoder, with embeddings of a size of their own.

Both parts are grown, each as a directory of its own: the generator predicts masked tokens, the discriminator says which
tokens were replaced. In a study the generator's class is trained as a masked LM; the two are not trained together.

If embedding_size differs from hidden_size, a projection makes the residual stream from the embeddings, and the generator's
head maps it back. Embeddings, their norm and the head's norm then lie outside the residual stream and do not change.
Without a base both sizes are the same, as in ELECTRA-Base.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from growbench.families import bert
from growbench.families._family import Family
from growbench.families._roles import Axis, Role, Table, fixed, linear, norm, readout, reads, role, writes
from growbench.spec import ModelSpec

if TYPE_CHECKING:
    from torch import Tensor

RESIDUAL, FROM_RESIDUAL, PROJECTION = writes("residual"), reads("residual"), fixed("projection")

TABLE: Table = {
    **bert.BODY,
    **linear("embeddings_project", "embedding", RESIDUAL, PROJECTION),
    **linear("discriminator_predictions.dense", "head", RESIDUAL, FROM_RESIDUAL),
    **readout("discriminator_predictions.dense_prediction", "class"),
    **linear("classifier.dense", "head", RESIDUAL, FROM_RESIDUAL),
    **readout("classifier.out_proj", "class"),
    **linear("sequence_summary.summary", "head", RESIDUAL, FROM_RESIDUAL),
}


def outside(size: Axis, from_size: Axis, norms: tuple[Role, Role]) -> Table:
    """Return the roles of what has the size of the embeddings. norms: of the embeddings and of the head."""
    tables = (("word_embeddings", "vocab"), ("position_embeddings", "position"), ("token_type_embeddings", "type"))
    return {
        **{f"embeddings.{name}.weight": role("embedding", fixed(rows), size) for name, rows in tables},
        **{f"embeddings.LayerNorm.{end}": norms[0] for end in ("weight", "bias")},
        **linear("generator_predictions.dense", "head", size, FROM_RESIDUAL),
        **{f"generator_predictions.LayerNorm.{end}": norms[1] for end in ("weight", "bias")},
        **linear("generator_lm_head", "head", fixed("vocab"), from_size),
    }


NORM = norm("")[".weight"]
SAME = outside(RESIDUAL, FROM_RESIDUAL, (NORM, NORM))
PROJECTED = outside(PROJECTION, PROJECTION, (role("embedding", PROJECTION), role("head", PROJECTION)))


class Electra(Family):
    model_type = "electra"
    stock = "Electra"
    pretraining = "ElectraForMaskedLM"
    objective = "mlm"
    head_matrices = 1
    types = norms = 2
    head_adds = "bias"
    published = ("ELECTRA",)

    def table(self, config: Any) -> Table:
        return {**TABLE, **(PROJECTED if self.projected(config) else SAME)}

    def follow(self, spec: ModelSpec, start: Mapping[str, Any]) -> dict[str, Any]:
        same = start.get("embedding_size") in (None, start.get("hidden_size"))
        return {"embedding_size": spec.hidden} if same else {}

    def projected(self, config: Any) -> bool:
        """Whether the token table is over coordinates other than the residual's."""
        return config.embedding_size != config.hidden_size

    def pre_norm(self, config: Any) -> bool:
        return False

    def output_norm(self, config: Any) -> str | None:
        return "generator_predictions.LayerNorm"

    def tied(self, config: Any, model_class: Any = None) -> bool:
        return super().tied(config, model_class) and not self.projected(config)

    def head(self, model: Any, hidden: Tensor) -> Tensor:
        return model.generator_lm_head(model.generator_predictions(hidden))


FAMILY = Electra()
