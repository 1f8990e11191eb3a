"""The floors of the house: a module imports only from floors below its own."""

import ast
from pathlib import Path

import pytest

import tinyvision

PACKAGE = Path(tinyvision.__file__).parent

# The first matching prefix gives a module's floor.
FLOORS = {
    "amp": 0,
    "kernels": 0,
    "checks": 0,
    "devices": 0,
    "dtypes": 0,
    "missing": 0,
    "random": 0,
    "random_state": 3,
    "hooks": 0,
    "printing": 0,
    "strides": 0,
    "engine": 1,
    "ops": 2,
    "tensor": 3,
    "creation": 3,
    "functions": 3,
    "autograd": 4,
    "nn.functional": 4,
    "nn.parameter": 5,
    "nn": 5,
    "optim": 4,
    "data": 4,
    "files": 0,
    "serialization": 5,
    "weights": 5,
    "models": 6,
    "utils": 5,
}


def floor_of(module: str) -> int:
    if module == "":
        return 7
    for prefix in sorted(FLOORS, key=len, reverse=True):
        if module == prefix or module.startswith(prefix + "."):
            return FLOORS[prefix]
    raise AssertionError(f"tinyvision.{module} has no floor: add it to the design and here")


def modules() -> dict[str, Path]:
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        found[".".join(p for p in parts if p != "__init__")] = path
    return found


def imports(path: Path) -> list[ast.stmt]:
    return [n for n in ast.walk(ast.parse(path.read_text())) if is_import(n)]


def is_import(node: ast.AST) -> bool:
    return isinstance(node, ast.Import | ast.ImportFrom)


def imported_modules(path: Path, known: dict[str, Path]) -> set[str]:
    """The tinyvision modules a file imports, without the package's name."""
    names = set()
    for node in imports(path):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        else:
            assert node.level == 0, f"{path}: imports are absolute"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}".removeprefix("tinyvision.")
                names.add(f"tinyvision.{inner}" if inner in known else node.module)
    return {n.removeprefix("tinyvision").removeprefix(".") for n in names if _is_ours(n)}


def _is_ours(name: str) -> bool:
    return name == "tinyvision" or name.startswith("tinyvision.")


@pytest.mark.parametrize("module", modules())
def test_layering_module_imports_only_from_floors_below_or_its_own(module):
    known = modules()
    for other in imported_modules(known[module], known):
        assert floor_of(other) <= floor_of(module), f"{module} imports {other}"


@pytest.mark.parametrize("module", [m for m in modules() if m.split(".")[0] in ("optim", "data")])
def test_layering_optim_and_data_never_import_nn(module):
    known = modules()
    assert not any(m.split(".")[0] == "nn" for m in imported_modules(known[module], known))


OPTIONAL = [("tqdm", "download.py"), ("safetensors", "weights.py")]


def test_layering_package_imports_only_the_standard_library_numpy_and_numba():
    import sys

    allowed = {"numpy", "numba", "llvmlite", "tinyvision"} | sys.stdlib_module_names
    for path in modules().values():
        for node in imports(path):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else [node.module]
            for name in names:
                optional = (name.split(".")[0], path.name) in OPTIONAL
                assert name.split(".")[0] in allowed or optional, f"{path} imports {name}"


def test_layering_imports_name_what_they_import():
    for module, path in modules().items():
        for node in imports(path):
            assert all(alias.name != "*" for alias in node.names), f"{module}: import *"


def test_layering_no_import_hides_inside_a_function():
    for module, path in modules().items():
        for function in ast.walk(ast.parse(path.read_text())):
            if isinstance(function, ast.FunctionDef):
                hidden = [n for n in ast.walk(function) if is_import(n) and not is_optional(n)]
                assert not hidden, f"{module}: {function.name} imports late"


def is_optional(node: ast.stmt) -> bool:
    names = [a.name for a in node.names] if isinstance(node, ast.Import) else [node.module]
    return all(n.split(".")[0] in ("tqdm", "matplotlib", "safetensors") for n in names)
