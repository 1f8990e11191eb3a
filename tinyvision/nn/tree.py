"""The tree inside a Module: parameters, buffers and child modules, each under a name.

`self.weight = Parameter(...)` and `self.layer1 = Linear(...)` do not become ordinary attributes:
`__setattr__` puts them into tables, from which `parameters()`, `state_dict()` and `repr` read
them. Names of nested members are joined by dots: "layer1.weight".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, Self

from tinyvision import missing
from tinyvision.nn.parameter import Parameter
from tinyvision.tensor import Tensor


class ModuleTree:
    """The tables and the walks over them; Module adds what a module does with its members."""

    _parameters: dict[str, Parameter | None]
    _buffers: dict[str, Tensor | None]
    _modules: dict[str, Any]
    _non_persistent_buffers: set[str]
    _optional_state: ClassVar[tuple[str, ...]] = ()  # what a state_dict may lack

    def __init__(self) -> None:
        self._parameters = {}
        self._buffers = {}
        self._modules = {}
        self._non_persistent_buffers = set()

    # ------------------------------------------------------------ attributes

    def __setattr__(self, name: str, value: Any) -> None:
        tables = self.__dict__
        if isinstance(value, Parameter):
            self._make_room(name, "_parameters", "parameters")
            self.register_parameter(name, value)
        elif name in tables.get("_parameters", ()):
            self._clear("_parameters", name, value, "parameter", "nn.Parameter")
        elif isinstance(value, ModuleTree):
            self._make_room(name, "_modules", "module")
            self._modules[name] = value
        elif name in tables.get("_modules", ()):
            self._clear("_modules", name, value, "child module", "nn.Module")
        elif name in tables.get("_buffers", ()):
            if value is not None and not isinstance(value, Tensor):
                raise _cannot_assign(value, "buffer", name, "Tensor")
            self._buffers[name] = value
        else:
            object.__setattr__(self, name, value)

    def __getattr__(self, name: str) -> Any:
        # Python calls this only for names that are not ordinary attributes.
        for table in ("_parameters", "_buffers", "_modules"):
            members = self.__dict__.get(table, {})
            if name in members:
                return members[name]
        return _not_there(self, name)

    def __delattr__(self, name: str) -> None:
        for table in (self._parameters, self._buffers, self._modules):
            if name in table:
                del table[name]
                self._non_persistent_buffers.discard(name)
                return
        object.__delattr__(self, name)

    def __dir__(self) -> list[str]:
        members = [*self._parameters, *self._buffers, *self._modules]
        return sorted({*super().__dir__(), *members})

    def _make_room(self, name: str, home: str, kind: str) -> None:
        """Take a name out of all tables but `home`, where a new member keeps the old one's place.

        Raises: AttributeError if a subclass forgot to call super().__init__() first.
        """
        if home not in self.__dict__:
            raise AttributeError(f"cannot assign {kind} before Module.__init__() call")
        self.__dict__.pop(name, None)
        for table in {"_parameters", "_buffers", "_modules"} - {home}:
            self.__dict__[table].pop(name, None)
        self._non_persistent_buffers.discard(name)

    def _clear(self, table: str, name: str, value: Any, kind: str, wanted: str) -> None:
        """`self.name = None` for a member; assigning anything else is surely a mistake."""
        if value is not None:
            raise _cannot_assign(value, kind, name, wanted)
        self.__dict__[table][name] = None

    # ------------------------------------------------------------ registration

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Add a parameter; None stands for one that this configuration does not have.

        Raises: KeyError for a bad name or one taken, TypeError if param is no Parameter.
        """
        self._check_name("parameter", name, "_parameters")
        if param is not None and not isinstance(param, Parameter):
            raise TypeError(
                f"cannot assign '{type(param).__name__}' object to parameter '{name}' "
                "(nn.Parameter or None required)"
            )
        self._parameters[name] = param

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Add a tensor that is state but not trained; it is saved if `persistent`.

        Raises: KeyError for a bad name or one taken, TypeError if tensor is no Tensor.
        """
        self._check_name("buffer", name, "_buffers")
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TypeError(
                f"cannot assign '{type(tensor).__name__}' object to buffer '{name}' "
                "(Tensor or None required)"
            )
        self._buffers[name] = tensor
        if persistent:
            self._non_persistent_buffers.discard(name)
        else:
            self._non_persistent_buffers.add(name)

    def register_module(self, name: str, module: Any) -> None:
        """Add a child module under a name that need not be a Python identifier."""
        if module is not None and not isinstance(module, ModuleTree):
            raise TypeError(f"{type(module).__name__} is not a Module subclass")
        self._check_name("module", name, "_modules")
        self._modules[name] = module

    add_module = register_module

    def _check_name(self, kind: str, name: str, table: str) -> None:
        if table not in self.__dict__:
            raise AttributeError(f"cannot assign {kind} before Module.__init__() call")
        if not isinstance(name, str):
            raise TypeError(f"{kind} name should be a string. Got {type(name).__name__}")
        if "." in name:
            raise KeyError(f'{kind} name can\'t contain ".", got: {name}')
        if name == "":
            raise KeyError(f'{kind} name can\'t be empty string ""')
        if hasattr(self, name) and name not in self.__dict__[table]:
            raise KeyError(f"attribute '{name}' already exists")

    # ------------------------------------------------------------ walks

    def named_modules(
        self, memo: set[Any] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Self]]:
        """(name, module) of self and of all modules inside, parents before children.

        A module that occurs twice comes once, unless remove_duplicate is False.
        """
        seen: set[Any] = set() if memo is None else memo
        if self in seen:
            return
        if remove_duplicate:
            seen.add(self)
        yield prefix, self
        for name, child in self._modules.items():
            if child is not None:
                yield from child.named_modules(seen, join_names(prefix, name), remove_duplicate)

    def modules(self, remove_duplicate: bool = True) -> Iterator[Self]:
        """Self and all modules inside, parents before children, each once."""
        return (module for _, module in self.named_modules(remove_duplicate=remove_duplicate))

    def named_children(self) -> Iterator[tuple[str, Any]]:
        """(name, module) of the modules directly inside, each once."""
        seen = set()
        for name, child in self._modules.items():
            if child is not None and child not in seen:
                seen.add(child)
                yield name, child

    def children(self) -> Iterator[Any]:
        """The modules directly inside, each once."""
        return (child for _, child in self.named_children())

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """(name, parameter) of self and, with `recurse`, of all modules inside.

        A shared parameter comes once, under its first name, unless remove_duplicate is False.
        """
        return self._named_members("_parameters", prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """The parameters, each once: what an optimizer is given."""
        return (parameter for _, parameter in self.named_parameters(recurse=recurse))

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """(name, buffer) of self and, with `recurse`, of all modules inside."""
        return self._named_members("_buffers", prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """The buffers, each once."""
        return (buffer for _, buffer in self.named_buffers(recurse=recurse))

    def _named_members(
        self, table: str, prefix: str, recurse: bool, remove_duplicate: bool
    ) -> Iterator[tuple[str, Any]]:
        modules: Any = [(prefix, self)]
        if recurse:
            modules = self.named_modules(prefix=prefix, remove_duplicate=remove_duplicate)
        seen: set[int] = set()
        for module_name, module in modules:
            for name, member in module.__dict__[table].items():
                if member is None or id(member) in seen:
                    continue
                if remove_duplicate:
                    seen.add(id(member))
                yield join_names(module_name, name), member

    # ------------------------------------------------------------ access by dotted name

    def get_submodule(self, target: str) -> Any:
        """The module called `target`, such as "layer1.0"; self for "".

        Raises: AttributeError if there is none.
        """
        module: Any = self
        for name in target.split(".") if target else ():
            if not hasattr(module, name):
                raise AttributeError(f"{type(module).__name__} has no attribute `{name}`")
            module = getattr(module, name)
            if not isinstance(module, ModuleTree):
                raise AttributeError(f"`{name}` is not an nn.Module")
        return module

    def get_parameter(self, target: str) -> Parameter:
        """The parameter called `target`, such as "layer1.0.weight"."""
        return self._get_member(target, "_parameters", "an nn.Parameter")

    def get_buffer(self, target: str) -> Tensor:
        """The buffer called `target`, such as "layer1.1.running_mean"."""
        return self._get_member(target, "_buffers", "a buffer")

    def _get_member(self, target: str, table: str, kind: str) -> Any:
        path, _, name = target.rpartition(".")
        module = self.get_submodule(path)
        if not hasattr(module, name):
            raise AttributeError(f"{type(module).__name__} has no attribute `{name}`")
        found = module.__dict__[table].get(name)
        if found is None:
            raise AttributeError(f"`{name}` is not {kind}")
        return found


_not_there = missing.names("tinyvision.nn.Module")


def join_names(prefix: str, name: str) -> str:
    """The dotted name: "layer1" and "weight" give "layer1.weight"; "" adds nothing."""
    return f"{prefix}.{name}" if prefix else name


def _cannot_assign(value: Any, kind: str, name: str, wanted: str) -> TypeError:
    return TypeError(
        f"cannot assign '{type(value).__name__}' as {kind} '{name}' ({wanted} or None expected)"
    )
