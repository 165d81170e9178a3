"""Check a request to grow a directory: everything that can be refused before tensors are read or files written."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from growbench import families, methods
from growbench.errors import GrowBenchError, nearest
from growbench.families import Family
from growbench.growth.model import grown_class_of, operator_of
from growbench.growth.operator import Operator
from growbench.growth.preservation import NotFiniteError, Sample
from growbench.methods import COMMON, Method
from growbench.pipeline.grow import carry, dtypes, files, missing, optimizer, shards
from growbench.pipeline.grow.config import Merged, merged, read_config
from growbench.pipeline.grow.publish import check_out, require_room
from growbench.pipeline.grow.sample import sample_of
from growbench.pipeline.grow.sizes import check_sizes, mixing, mixture_spec, require_plausible, target_spec
from growbench.pipeline.grow.tensors import Checkpoint, skeleton, stored_pieces
from growbench.plan.plan import POLICIES, Policy
from growbench.runtime import discover
from growbench.spec import ModelSpec
from growbench.study.files import change


@dataclass(frozen=True, kw_only=True)
class Request:
    """What the command line asks for.

    source: directory to grow.
    out: directory to write.
    method: name of the method.
    sizes: of the target, by the keys in SHAPE_KEYS and MIXTURE_KEYS; None where left out.
    options: of the method, each as `name=value`.
    seed: of new weights and of the maps.
    dtype: of the target's tensors; None for the source's, tensor by tensor.
    shard_size: bytes of tensors that one file holds at most, as `5GB`.
    text: file whose beginning is used to compare both models, None for random inputs; an operator is learned on it.
    measure: whether both models are compared.
    optimizer: folder with Adam's moments of the source, to be grown with it; None for none.
    policy: how they are grown (growth/moments.py).
    name: of the source on the Hub; None for a directory.
    """

    source: Path
    out: Path
    method: str
    sizes: Mapping[str, int | None]
    options: tuple[str, ...] = ()
    seed: int = 0
    dtype: str | None = None
    shard_size: str = "5GB"
    text: Path | None = None
    measure: bool = True
    optimizer: Path | None = None
    policy: str = "scaled"
    name: str | None = None


@dataclass(frozen=True, kw_only=True)
class Job:
    """One growth that has been checked. Nothing has been written yet.

    family: of the source, and of the target unless that is a mixture of experts.
    method: the method.
    options: of the method, defaults filled in.
    config: the source's stock config.
    model_class: the stock class of the source.
    grown_class: the stock class of the target.
    model: the source without storage.
    source: the source's tensors.
    operator: the maps.
    grown_config: the target's stock config.
    grown: the target without storage.
    keys: the target's config.json.
    carried: what becomes of the source's other files.
    types: the type of each of the target's tensors.
    dtype: the type of most of them.
    layouts: the target's files, and the stored tensors of each.
    sample: inputs on which both models are compared; None for no comparison.
    moments: Adam's moments of the target; None if the source's are not given.
    """

    family: Family
    method: Method
    options: dict[str, Any]
    config: Any
    model_class: Any
    grown_class: Any
    model: nn.Module
    source: Checkpoint
    operator: Operator
    grown_config: Any
    grown: nn.Module
    keys: Merged
    carried: carry.Inventory
    types: dtypes.Types
    dtype: torch.dtype
    layouts: Mapping[str, shards.Layout]
    sample: Sample | None
    moments: optimizer.Grown | None


def check(request: Request) -> Job:
    """Return the growth that a request describes. Raises GrowBenchError if it is not possible."""
    check_out(request.source, request.out)
    files.check_links(request.source)
    method, options = _method(request)
    limit, dtype = shards.size_of(request.shard_size), dtypes.asked(request.dtype)
    if not 0 <= request.seed < 2**63:
        raise GrowBenchError(f"--seed {request.seed}: not a seed; use an integer from 0 to 2^63 - 1")
    config = read_config(request.source)
    family = families.of(config)
    with stock(request.source):
        spec = family.spec(config)
        traits = family.traits(config)
    require_plausible(spec)
    if method.name in mixing():
        target: ModelSpec = mixture_spec(spec, method, request.sizes)
    else:
        target = target_spec(family, spec, request.sizes)
        check_sizes(method, spec, target)
    carried = carry.inventory(request.source, spec, target)
    method.check(spec, target, traits, options)
    with stock(request.source):
        model_class = family.auto_class(config)
        model = skeleton(model_class, config)
        operator, grown_config = operator_of(family, config, target, method, options, request.seed, model_class)
        grown_class = grown_class_of(family, operator.target_family, model_class)
        grown = skeleton(grown_class, grown_config)
        roles, grown_roles = family.roles(config, model_class), operator.target_family.roles(grown_config, grown_class)
    _check_text(request, method, options, model)
    source = Checkpoint(request.source, model)
    if source.wrappers and method.needs_data:
        raise GrowBenchError(
            f"{request.source}: names of tensors have '{source.wrappers}', and {method.name} loads the model as a whole; rename "
            "the tensors without it"
        )
    missing.refuse_left_out(request.source, model, source.left_out, spec.layers)
    types = dtypes.of_target(source.dtypes, roles, grown_roles, operator.depth)
    types = types if dtype is None else dict.fromkeys(types, dtype)
    layouts = _layouts(grown, types, limit)
    moments = None
    if request.optimizer is not None:
        given = optimizer.Moments(request.optimizer, model, source.aliases)
        moments = optimizer.grown(operator, given, roles, grown_roles, _policy(request, method))
    size = carry.size(request.source, carried) + shards.size_in(layouts)
    require_room(request.out, size + (shards.size_in(moments.layout(shapes(grown))) if moments else 0))
    source.compute = dtypes.widest([*source.dtypes.values(), *types.values(), torch.float32])
    grown_config.architectures = [grown_class.__name__]
    most = dtypes.main(types, sizes(grown))
    layers = [layer.sources[0][0] for layer in operator.depth]
    keys = merged(request.source, family, config, grown_config, most, cast=dtype is not None, layers=layers)
    sample = None
    if request.measure:
        sample = sample_of(family, config, model, request.source, request.text, request.seed)
    return Job(
        family=family,
        method=method,
        options={key: options[key] for key in method.options},
        config=config,
        model_class=model_class,
        grown_class=grown_class,
        model=model,
        source=source,
        operator=operator,
        grown_config=grown_config,
        grown=grown,
        keys=keys,
        carried=carried,
        types=types,
        dtype=most,
        layouts=layouts,
        sample=sample,
        moments=moments,
    )


def _policy(request: Request, method: Method) -> Policy:
    """Return the policy of the moments. Raises GrowBenchError for one that grows none."""
    if method.needs_data:
        raise GrowBenchError(
            f"--resume-optimizer: {method.name} learns how it combines weights, which says nothing about moments; leave it out"
        )
    kept = [policy for policy in POLICIES if policy != "reset"]
    if request.policy not in kept:
        raise GrowBenchError(f"--optimizer-policy {request.policy}: grows no moments; {nearest(request.policy, kept)}")
    return next(policy for policy in POLICIES if policy == request.policy)


def _layouts(grown: nn.Module, types: dtypes.Types, limit: int) -> dict[str, shards.Layout]:
    """Return the target's files, and the stored tensors of each, in the model's order."""
    slots = {
        key: shards.Slot(shape, types[name])
        for name, pieces in stored_pieces(grown).items()
        for key, shape in pieces.items()
    }
    return shards.divided(slots, limit)


def _method(request: Request) -> tuple[Method, dict[str, Any]]:
    """Return the method and its options. Raises GrowBenchError for one that cannot grow a checkpoint."""
    if request.method not in methods.names():
        raise GrowBenchError(f"--method {request.method}: not known; {nearest(request.method, methods.names())}")
    method = methods.load(request.method)
    given: dict[str, Any] = {}
    for text in request.options:
        given |= change(text, "map=random")
    if studied := sorted(COMMON.keys() & given):
        raise GrowBenchError(f"--set {studied[0]}: it is only for runs in a study; leave it out")
    options = method.check_options(given)
    if method.masked:
        raise GrowBenchError(
            f"--method {method.name}: it hides what it adds behind masks while training, and a checkpoint has no masks; "
            "use it in a study, or use --method lemon or zero_pad here"
        )
    return method, options


def _check_text(request: Request, method: Method, options: dict[str, Any], model: Any) -> None:
    """Raise GrowBenchError if an operator is to be learned and there is no text, or the model does not predict any."""
    if not method.needs_data or method.learning(options).steps == 0:
        return
    if model.main_input_name != "input_ids" or model.get_output_embeddings() is None:
        raise GrowBenchError(
            f"--method {method.name}: it learns its operator on text, which a {type(model).__name__} does not predict; use "
            "--set steps=0, or a directory with its pre-training head"
        )
    if request.text is None:
        raise GrowBenchError(
            f"--method {method.name}: it learns its operator on text; add --text FILE, or use --set steps=0"
        )


@contextmanager
def stock(folder: Path) -> Iterator[None]:
    """Turn an error of the stock classes on a config that they cannot build or run into one line that names the config.

    What no config causes is passed on: a lack of memory (as MemoryError), an OSError, outputs that are not finite, an
    error in a method's file.
    """
    try:
        yield
    except (GrowBenchError, MemoryError, OSError, NotFiniteError):
        raise
    except Exception as error:
        if "can't allocate memory" in str(error):  # how torch says it on a CPU
            raise MemoryError from error
        if discover.place(error, methods.FOLDER):
            raise
        reason = " ".join(str(error).split())[:200]
        raise GrowBenchError(
            f"{folder / 'config.json'}: the stock model cannot be built or run ({type(error).__name__}: {reason}); correct it"
        ) from error


def sizes(model: nn.Module) -> dict[str, int]:
    """Return the number of entries of each parameter of a model."""
    return {name: parameter.numel() for name, parameter in model.named_parameters()}


def shapes(model: nn.Module) -> dict[str, tuple[int, ...]]:
    """Return the shape of each parameter of a model."""
    return {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}


def parameters(model: nn.Module) -> int:
    """Return the number of parameters of a model."""
    return sum(sizes(model).values())
