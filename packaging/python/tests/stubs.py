"""losskit/__init__.pyi: the policies' signatures for type checkers and editors, from the catalogue of the installed library.

    python packaging/python/tests/stubs.py check      fails if the file differs
    python packaging/python/tests/stubs.py write      puts it there
"""
import ast
import math
import sys
from pathlib import Path

from losskit import _policy

package = Path(__file__).parent.parent / "losskit"


def from_source() -> str:
    """What __init__.py takes from its own modules, as names to give on; its functions, without their bodies."""
    lines = []
    for node in ast.parse((package / "__init__.py").read_text()).body:
        if isinstance(node, ast.ImportFrom) and node.module.startswith("losskit."):
            lines += [f"from {node.module} import {alias.name} as {alias.name}" for alias in node.names]
        if isinstance(node, ast.FunctionDef):
            lines += ["", f"def {node.name}({ast.unparse(node.args)}) -> {ast.unparse(node.returns)}:",
                      f'    """{ast.get_docstring(node)}"""']
    return "\n".join(lines)


def type_of(field, given: bool) -> str:
    number = "int" if field.whole else "float"
    # A choice is kept as a policy, whatever it was given as.
    return " | ".join([number] * field.number + (["Policy", "str"] if given else ["Policy"]) * field.choice)


def default_of(field) -> str:
    return "..." if isinstance(field.default, float) and not math.isfinite(field.default) else repr(field.default)


def policy(cls) -> str:
    arguments = ["self"]
    for field in cls._fields:
        if field.keyword_only and "*" not in arguments:
            arguments.append("*")
        arguments.append(f"{field.name}: {type_of(field, True)} = {default_of(field)}")
    lines = [f"class {cls.__name__}({cls.__base__.__name__}):", f'    """{cls.__doc__.strip()}"""'.replace("\n", "\n    ")]
    lines += [f"    {field.name}: {type_of(field, False)}" for field in cls._fields]
    lines += [f"    def __init__({', '.join(arguments)}) -> None: ..."]
    return "\n".join(line.rstrip() for line in "\n".join(lines).split("\n"))


def text() -> str:
    parts = ["# Made by packaging/python/tests/stubs.py from the library's catalogue; a test compares.", from_source(), "__version__: str"]
    parts += [f'class {kind.__name__}(Policy):\n    """{kind.__doc__}"""' for kind in _policy.kinds.values()]
    parts += [policy(cls) for cls in _policy.classes.values()]
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    path = package / "__init__.pyi"
    if sys.argv[1:] == ["write"]:
        path.write_text(text())
    elif sys.argv[1:] != ["check"]:
        sys.exit(__doc__)
    elif not path.exists() or path.read_text() != text():
        sys.exit(f"{path} is not that of the catalogue: python packaging/python/tests/stubs.py write")
