"""Containers: modules that hold other modules (or parameters) in order or by name."""

from __future__ import annotations

import operator
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any, ClassVar, Self

from tinyvision.nn.module import Module
from tinyvision.nn.parameter import Parameter
from tinyvision.tensor import Tensor


class _ModuleSequence(Module):
    """What Sequential and ModuleList have in common: children under the names "0", "1", ..."""

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._modules.values())

    def __setitem__(self, idx: int, module: Module) -> None:
        setattr(self, self._name_at(idx), module)

    def __delitem__(self, idx: int | slice) -> None:
        names = list(self._modules)
        for name in names[idx] if isinstance(idx, slice) else [self._name_at(idx)]:
            del self._modules[name]
        self._renumber(list(self._modules.values()))

    def append(self, module: Module) -> Self:
        """Add a module at the end."""
        self.add_module(str(len(self)), module)
        return self

    def insert(self, index: int, module: Module) -> Self:
        """Add a module before the one at `index`, which may be negative or the length.

        Raises: IndexError if out of range, TypeError for what is no Module.
        """
        if not isinstance(module, Module):
            raise TypeError(f"{type(module).__name__} is not a Module subclass")
        size = len(self)
        if not -size <= operator.index(index) <= size:
            raise IndexError(f"Index out of range: {index}")
        modules = list(self._modules.values())
        modules.insert(index, module)
        self._renumber(modules)
        return self

    def extend(self, modules: Iterable[Module]) -> Self:
        """Add modules at the end."""
        for module in list(modules):  # a list, because `modules` may be self
            self.append(module)
        return self

    def pop(self, key: int) -> Module:
        """Remove the module at `key` and return it."""
        module = self[key]
        del self[key]
        return module

    def __getitem__(self, idx: int | slice) -> Any:
        if isinstance(idx, slice):
            return self._selection(list(self._modules.items())[idx])
        return self._modules[self._name_at(idx)]

    def _selection(self, items: list[tuple[str, Any]]) -> Self:
        raise NotImplementedError

    def _name_at(self, idx: int) -> str:
        size = len(self)
        if not -size <= operator.index(idx) < size:
            raise IndexError(f"index {idx} is out of range")
        return list(self._modules)[idx]

    def _renumber(self, modules: list[Any]) -> None:
        self._modules = {str(i): module for i, module in enumerate(modules)}


class Sequential(_ModuleSequence):
    """Modules applied one after the other: `Sequential(a, b)(x)` is `b(a(x))`.

    An OrderedDict gives them names: `Sequential(OrderedDict(conv=..., act=...))`.
    """

    def __init__(self, *args: Any) -> None:
        super().__init__()
        if len(args) == 1 and isinstance(args[0], OrderedDict):
            for name, module in args[0].items():
                self.add_module(name, module)
        else:
            self.extend(args)

    def forward(self, input: Any) -> Any:
        for module in self:
            input = module(input)
        return input

    def _selection(self, items: list[tuple[str, Any]]) -> Self:
        return type(self)(OrderedDict(items))

    def __add__(self, other: Sequential) -> Sequential:
        if not isinstance(other, Sequential):
            raise ValueError(
                f"add operator supports only objects of Sequential class, but {type(other)} is "
                "given."
            )
        return Sequential(*self, *other)


class ModuleList(_ModuleSequence):
    """A list of modules, which are thereby registered; it has no forward of its own."""

    def __init__(self, modules: Iterable[Module] | None = None) -> None:
        super().__init__()
        if modules is not None:
            self.extend(modules)

    def extend(self, modules: Iterable[Module]) -> Self:
        """Add modules at the end."""
        _check_iterable("ModuleList.extend", modules)
        return super().extend(modules)

    def __iadd__(self, modules: Iterable[Module]) -> Self:
        return self.extend(modules)

    def __add__(self, other: Iterable[Module]) -> ModuleList:
        return ModuleList([*self, *other])

    def _selection(self, items: list[tuple[str, Any]]) -> Self:
        return type(self)([module for _, module in items])

    def _child_lines(self) -> Iterable[str]:
        """Equal neighbours on one line: `(0-2): 3 x ReLU()`."""
        start = 0
        for text, group in groupby(repr(module) for module in self):
            count = len(list(group))
            one = f"({start}): {text}"
            yield one if count == 1 else f"({start}-{start + count - 1}): {count} x {text}"
            start += count


class _Dict(Module):
    """What ModuleDict and ParameterDict have in common: members by name, in order of adding."""

    _table: ClassVar[str]  # the attribute of Module in which the members are

    def __init__(self, members: Mapping[str, Any] | Iterable[tuple[str, Any]] | None) -> None:
        super().__init__()
        if members is not None:
            self.update(members)

    @property
    def _members(self) -> dict[str, Any]:
        return self.__dict__[self._table]

    def __getitem__(self, key: str) -> Any:
        return self._members[key]

    def __setitem__(self, key: str, value: Any) -> None:
        raise NotImplementedError  # both subclasses have their own

    def __delitem__(self, key: str) -> None:
        del self._members[key]

    def __len__(self) -> int:
        return len(self._members)

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def __contains__(self, key: object) -> bool:
        return key in self._members

    def clear(self) -> None:
        """Remove all."""
        self._members.clear()

    def pop(self, key: str) -> Any:
        """Remove the member called `key` and return it."""
        return self._members.pop(key)

    def keys(self) -> Iterable[str]:
        """The names."""
        return self._members.keys()

    def items(self) -> Iterable[tuple[str, Any]]:
        """(name, member) pairs."""
        return self._members.items()

    def values(self) -> Iterable[Any]:
        """The members."""
        return self._members.values()

    def update(self, members: Mapping[str, Any] | Iterable[tuple[str, Any]]) -> None:
        """Add members from a mapping or (name, member) pairs; earlier ones are replaced.

        Raises: TypeError if it is neither.
        """
        name = type(self).__name__
        _check_iterable(f"{name}.update", members, "an iterable of key/value pairs")
        if isinstance(members, Mapping | _Dict):
            members = members.items()
        for i, pair in enumerate(members):
            if not isinstance(pair, Iterable) or len(tuple(pair)) != 2:
                raise TypeError(
                    f"{name} update sequence element #{i} should be a (name, value) pair, got "
                    f"{pair!r}"
                )
            key, value = pair
            self[key] = value


class ModuleDict(_Dict):
    """Modules by name, in the order they were added; it has no forward of its own."""

    _table = "_modules"

    def __init__(self, modules: Mapping[str, Module] | None = None) -> None:
        super().__init__(modules)

    def __setitem__(self, key: str, module: Module) -> None:
        self.add_module(key, module)


class ParameterDict(_Dict):
    """Parameters by name, in the order they were added; Tensors are made Parameters.

    As in PyTorch, those of a plain dict are added in the order of their names.
    """

    _table = "_parameters"

    def __init__(self, parameters: Mapping[str, Tensor] | None = None) -> None:
        super().__init__(parameters)

    def __setitem__(self, key: str, value: Tensor) -> None:
        if not isinstance(key, str):
            raise TypeError(f"ParameterDict: keys must be strings, not {type(key).__name__}")
        if not isinstance(value, Tensor):
            raise TypeError(f"ParameterDict: expected Tensors, got {type(value).__name__}")
        setattr(self, key, _as_parameter(value))

    def update(self, members: Mapping[str, Any] | Iterable[tuple[str, Any]]) -> None:
        if isinstance(members, Mapping) and not isinstance(members, OrderedDict):
            members = sorted(members.items())
        super().update(members)

    def get(self, key: str, default: Any = None) -> Any:
        """The parameter called `key`, or `default` if there is none."""
        return self._members.get(key, default)

    def extra_repr(self) -> str:
        return _parameter_lines(self.items())


class ParameterList(Module):
    """A list of parameters, which are thereby registered; Tensors are made Parameters.

    Other values are kept as well: modules are registered, too, and the rest are not state.
    """

    def __init__(self, values: Iterable[Any] | None = None) -> None:
        super().__init__()
        self._size = 0
        if values is not None:
            self.extend(values)

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[Any]:
        return (getattr(self, str(i)) for i in range(self._size))

    def __getitem__(self, idx: int | slice) -> Any:
        if isinstance(idx, slice):
            return type(self)(list(self)[idx])
        if not -self._size <= operator.index(idx) < self._size:
            raise IndexError(f"index {idx} is out of range")
        return getattr(self, str(idx % self._size))

    def __setitem__(self, idx: int, param: Any) -> None:
        self[idx]  # raises for a bad index
        setattr(self, str(idx % self._size), _as_parameter(param))

    def append(self, value: Any) -> Self:
        """Add a value at the end."""
        setattr(self, str(self._size), _as_parameter(value))
        self._size += 1
        return self

    def extend(self, values: Iterable[Any]) -> Self:
        """Add values at the end."""
        _check_iterable("ParameterList.extend", values)
        for value in list(values):
            self.append(value)
        return self

    def __iadd__(self, values: Iterable[Any]) -> Self:
        return self.extend(values)

    def extra_repr(self) -> str:
        return _parameter_lines(enumerate(self))


def _parameter_lines(members: Iterable[tuple[Any, Any]]) -> str:
    lines = []
    for name, p in members:
        if isinstance(p, Tensor):
            size = "x".join(map(str, p.shape))
            lines.append(f"  ({name}): Parameter containing: [{p.dtype} of size {size}]")
        else:
            lines.append(f"  ({name}): Object of type: {type(p).__name__}")
    return "\n".join(lines)


def _check_iterable(name: str, value: Any, expected: str = "an iterable") -> None:
    if not isinstance(value, Iterable) or isinstance(value, Tensor):
        raise TypeError(f"{name} should be called with {expected}, but got {type(value).__name__}")


def _as_parameter(value: Any) -> Any:
    """A Tensor as a Parameter; anything else as it is."""
    is_plain = isinstance(value, Tensor) and not isinstance(value, Parameter)
    return Parameter(value) if is_plain else value
