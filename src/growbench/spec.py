"""ModelSpec: the shape of one model, in the same words for every family."""

from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal

from growbench.errors import GrowBenchError, nearest

Norm = Literal["layer", "rms"]
SOURCE = "source"  # name of the small model among runs and records
SHAPE_KEYS = ("layers", "hidden", "heads", "kv_heads", "head_size", "ffn")
MIXTURE_KEYS = ("experts", "active")


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelSpec:
    """Shape of a Transformer.

    family: name of a file in families/.
    layers: Transformer layers.
    hidden: width of the residual stream.
    heads: attention (query) heads.
    ffn: width of the feed-forward layers.
    vocab: rows of the token table (0 for vision).
    max_length: tokens of the longest input.
    kv_heads: key/value heads; 0 takes `heads`.
    head_size: coordinates of one head; 0 takes hidden / heads.

    Raises GrowBenchError, one line with the key as `model.key`, for a size that is impossible.
    """

    family: str
    layers: int
    hidden: int
    heads: int
    ffn: int
    vocab: int
    max_length: int
    kv_heads: int = 0
    head_size: int = 0

    def __post_init__(self) -> None:
        if not isinstance(self.family, str):
            raise GrowBenchError(f"model.family: {self.family!r} is not the name of a family; use a string")
        for key in ("layers", "hidden", "heads", "ffn", "max_length", "vocab", "kv_heads", "head_size"):
            value, least = getattr(self, key), 0 if key in ("vocab", "kv_heads", "head_size") else 1
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise GrowBenchError(f"model.{key}: {value!r} is not allowed; use an integer of at least {least}")
        if not self.kv_heads:
            object.__setattr__(self, "kv_heads", self.heads)
        if self.heads % self.kv_heads:
            raise GrowBenchError(
                f"model.kv_heads: {self.kv_heads} does not divide heads {self.heads}; use a divisor of heads"
            )
        if not self.head_size:
            if self.hidden % self.heads:
                near = min(divisors(self.hidden), key=lambda divisor: abs(divisor - self.heads))
                raise GrowBenchError(
                    f"model.heads: {self.heads} does not divide model.hidden {self.hidden}; use a divisor, nearest: {near}"
                )
            object.__setattr__(self, "head_size", self.hidden // self.heads)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "ModelSpec":
        if "experts" in values and cls is ModelSpec:
            return MixtureSpec.from_dict(values)
        known = {f.name for f in fields(cls)}
        for key in values:
            if key not in known:
                raise GrowBenchError(f"model.{key}: unknown key; {nearest(key, known)}")
        missing = [k for k in ("family", "layers", "hidden", "heads", "ffn", "vocab", "max_length") if k not in values]
        if missing:
            raise GrowBenchError(f"model.{missing[0]}: missing; give it a value")
        return cls(**values)

    def resized(self, **sizes: int) -> "ModelSpec":
        """Return a copy with other sizes. kv_heads and head_size follow heads and hidden unless given."""
        free: dict[str, Any] = {"kv_heads": 0, "head_size": 0}
        if self.kv_heads != self.heads or "heads" not in sizes:
            free.pop("kv_heads")
        if self.head_size * self.heads != self.hidden:
            free.pop("head_size")
        return replace(self, **{**free, **sizes})

    def short(self) -> str:
        """Return the papers' notation, (layers, hidden), for example `(12, 768)`."""
        return f"({self.layers}, {self.hidden})"


@dataclass(frozen=True, kw_only=True, slots=True)
class MixtureSpec(ModelSpec):
    """Shape of a Transformer whose FFNs are mixtures of experts (families/_mixture.py); `ffn` is the width of one expert.

    experts: of each layer.
    active: experts that a token is sent to.
    """

    experts: int
    active: int

    def __post_init__(self) -> None:
        ModelSpec.__post_init__(self)
        for key in MIXTURE_KEYS:
            value = getattr(self, key)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise GrowBenchError(f"model.{key}: {value!r} is not allowed; use an integer of at least 1")
        if self.active > self.experts:
            raise GrowBenchError(
                f"model.active: {self.active} is more than model.experts, {self.experts}; use at most {self.experts}"
            )

    def short(self) -> str:
        return f"({self.layers}, {self.hidden}, {self.active} of {self.experts} experts)"


@dataclass(frozen=True, kw_only=True, slots=True)
class Traits:
    """What decides whether growth preserves a function, besides sizes.

    norm: LayerNorm (`layer`) or RMSNorm (`rms`).
    pre_norm: whether residual blocks normalize their input (pre-LN) instead of their sum (post-LN).
    rotary: whether positions rotate the coordinates of a head; the size of a head then cannot change.
    eps: the norm's epsilon; None if the stock config cannot set it, or not without that of other norms.
    norm_over_heads: whether a norm runs over the queries of all heads together, and one over the keys.
    embedding_norm: whether a pre-LN residual stream starts as the output of a norm, over which no linear map keeps both
        the mean and the gains at a non-integer ratio.
    """

    norm: Norm = "layer"
    pre_norm: bool = True
    rotary: bool = False
    eps: float | None = 1e-5
    norm_over_heads: bool = False
    embedding_norm: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Pixels:
    """What an image model reads and predicts, besides its shape.

    size: pixels of a side of its square images. patch: pixels of a side of a square patch, which divides `size`.
    classes: number of classes. channels: of an image.
    """

    size: int
    patch: int
    classes: int
    channels: int = 3

    @property
    def patches(self) -> int:
        """Patches of one image."""
        return (self.size // self.patch) ** 2

    @property
    def patch_values(self) -> int:
        """Numbers in one patch."""
        return self.channels * self.patch**2

    @property
    def settings(self) -> dict[str, int]:
        """The stock config's settings for them."""
        return {
            "image_size": self.size,
            "patch_size": self.patch,
            "num_labels": self.classes,
            "num_channels": self.channels,
        }


def integer(value: Any) -> Any:
    """Return a float without a fraction as an int, as in `1e4` or `32.0`; anything else as it is."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def divisors(n: int) -> list[int]:
    """Return the divisors of n, in order."""
    return [d for d in range(1, n + 1) if n % d == 0]


def check_growth(source: ModelSpec, target: ModelSpec) -> None:
    """Raise GrowBenchError unless target is at least as large as source on every axis, and of the same family."""
    if source.family != target.family:
        raise GrowBenchError(f"target.family: {target.family} cannot be grown from {source.family}; use one family")
    for key in ("layers", "hidden", "heads", "kv_heads", "ffn"):
        small, big = getattr(source, key), getattr(target, key)
        if big < small:
            raise GrowBenchError(
                f"target.{key}: {big} is smaller than the source's {small}; growth needs at least {small}"
            )
