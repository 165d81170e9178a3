"""A stock model whose parameters are read when a module runs, and dropped when it has run: a model of any size on any machine.

Between its runs a parameter is one NaN that is expanded to its shape. So a module that uses another's parameters without
calling it makes outputs that are not finite, and never wrong ones.
"""

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn


def layerwise(
    model_class: Any, config: Any, tensors: Mapping[str, Tensor], aliases: Mapping[str, str], dtype: torch.dtype
) -> Any:
    """Return a stock model in evaluation mode whose parameters are in memory only while their module runs.

    tensors: the parameters by name, read when they are asked for. aliases: the name there of each name in the model.
    dtype: of the computation.
    """
    with _parameters_on_meta(dtype):
        model = model_class(copy.deepcopy(config))
    model.tie_weights()
    for path, module in model.named_modules():
        own = {name: p for name, p in module.named_parameters(path, recurse=False, remove_duplicate=False)}
        if own:
            names = {name.rpartition(".")[2]: aliases[name] for name in own}
            _attach(module, names, tensors, dtype)
    return model.eval()


def _attach(module: nn.Module, names: Mapping[str, str], tensors: Mapping[str, Tensor], dtype: torch.dtype) -> None:
    """Make a module read its parameters before it runs and drop them afterwards. names: in `tensors`, by its own."""
    empty = {name: _parameter(_hollow(module._parameters[name], dtype)) for name in names}

    def read(*_: Any) -> None:
        for name, key in names.items():
            module._parameters[name] = _parameter(tensors[key].to(dtype))

    def drop(*_: Any) -> None:
        module._parameters.update(empty)

    drop()
    module.register_forward_pre_hook(read)
    module.register_forward_hook(drop, always_call=True)


def _hollow(like: Tensor | None, dtype: torch.dtype) -> Tensor:
    assert like is not None
    return torch.full((), float("nan"), dtype=dtype).expand(like.shape)


def _parameter(tensor: Tensor) -> nn.Parameter:
    return nn.Parameter(tensor, requires_grad=False)


@contextmanager
def _parameters_on_meta(dtype: torch.dtype) -> Iterator[None]:
    """Keep the parameters of the models that are built in this context without storage. Buffers are made as usual."""
    register, default = nn.Module.register_parameter, torch.get_default_dtype()

    def without_storage(module: nn.Module, name: str, parameter: nn.Parameter | None) -> None:
        register(module, name, parameter if parameter is None else _parameter(parameter.detach().to("meta")))

    try:
        nn.Module.register_parameter = without_storage  # type: ignore[method-assign, assignment]
        torch.set_default_dtype(dtype)
        yield
    finally:
        nn.Module.register_parameter = register  # type: ignore[method-assign]
        torch.set_default_dtype(default)
