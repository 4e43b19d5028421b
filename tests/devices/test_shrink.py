"""What gets shorter, and what must not."""

import ast
from pathlib import Path

import pytest
from packages import result_of, written

from host.devices.shrink import shrink
from host.devices.shrinking.external import EXTERNAL

SIMULATED = Path(__file__).resolve().parents[2] / "firmware" / "simulated"


def names(texts):
    """Every name in some files: variables, attributes, functions, parameters, imports."""
    found = set()
    for text in (text for path, text in texts.items() if path.endswith(".py")):
        for node in ast.walk(ast.parse(text)):
            for field in ("id", "attr", "name", "asname", "arg"):
                value = getattr(node, field, None)
                if isinstance(value, str):
                    found.add(value)
    return found


# name: (files, main.py, what it gives, names that go, names that stay)
CASES = {
    "constants across files": (
        {
            "p/a.py": """
                from .b import SIZE
                from . import b

                def area(scale=SIZE):
                    LIMIT = 2
                    b.rate = b.rate + 1
                    return b.rate * scale * b.SIZE * b.TWICE + b.BASE - LIMIT
            """,
            "p/b.py": """
                SIZE = 4
                TWICE = SIZE << 1
                BASE = -1
                changes = 0
                rate = 0
                BIG = 1 << 40

                def change():
                    global changes
                    changes += 1
                    return changes + BIG
            """,
        },
        "from p.a import area\nfrom p.b import change\nresult = area(), change(), change()",
        (125, (1 << 40) + 1, (1 << 40) + 2),
        {"SIZE", "TWICE", "BASE", "changes"},
        {"area", "change"},
    ),
    "methods and attributes": (
        {
            "p/a.py": """
                class Counter:
                    start = 5

                    def __init__(self, step):
                        self._step = step
                        self.total = self.start

                    def advance(self, times):
                        for _ in range(times):
                            self.total += self._step
                        return self

                    @property
                    def doubled(self):
                        return 2 * self.total

                class Loud(Counter):
                    def advance(self, times):
                        super().advance(times)
                        self._loudness = self._step * 10
                        return self

                class Meter:
                    def __init__(self, counter):
                        self._reading = counter.total
                        self._step = "apart"

                    def told(self):
                        return self._reading, self._step

                def run(kind):
                    made = kind(3).advance(times=2)
                    return made.doubled, Meter(made).told(), getattr(made, "_loudness", 0)
            """,
        },
        "from p.a import Counter, Loud, run\nresult = run(Counter), run(Loud)",
        ((22, (11, "apart"), 0), (22, (11, "apart"), 30)),
        {"_step", "total", "advance", "doubled", "Meter", "told", "_reading", "made"} - {"made"},
        {"Counter", "Loud", "run", "_loudness", "times", "__init__"},
    ),
    "inheritance across files, under other names": (
        {
            "p/a.py": """
                class Base:
                    def __init__(self):
                        self._first = 1
                        self._second = self._make()

                    def _make(self):
                        return "base"
            """,
            "p/b.py": """
                from .a import Base as Parent

                Alias = Parent

                class Child(Alias):
                    def __init__(self):
                        self._third = 3
                        self._fourth = 4
                        super().__init__()

                    def _make(self):
                        return "child"

                    def all(self):
                        return self._first, self._second, self._third, self._fourth
            """,
            "p/c.py": """
                from .a import Base as Parent

                class Other(Parent):
                    def __init__(self):
                        self._third = 3
                        super().__init__()

                    def all(self):
                        return self._first, self._second, self._third
            """,
        },
        "from p.b import Child\nfrom p.c import Other\nresult = Child().all(), Other().all()",
        ((1, "child", 3, 4), (1, "base", 3)),
        {"_first", "_second", "_third", "_make"},
        {"Child", "all"},
    ),
    "names by string": (
        {
            "p/a.py": """
                KINDS = ("speed", "level")

                class Kinds:
                    def __init__(self, given):
                        self.speed = given
                        self.level = given + 1
                        self.other = given + 2

                    def cmd_stop(self):
                        return "stopped"

                def run(name):
                    kinds = Kinds(7)
                    found = [getattr(kinds, kind) for kind in KINDS]
                    return found, getattr(kinds, "cmd_" + name)(), kinds.other, "other %d" % 3
            """,
        },
        "from p.a import run\nresult = run('stop')",
        ([7, 8], "stopped", 9, "other 3"),
        {"Kinds", "other", "given"},
        {"speed", "level", "cmd_stop", "run"},
    ),
    "parameters and closures": (
        {
            "p/a.py": """
                def outer(first, second=2, *rest, flag=False, **options):
                    def inner(first, third):
                        return first + second + third + a
                    a = 100
                    squares = [first * x for x in rest if x != second]
                    return inner(first, third=5), squares, flag, options, (lambda first: first)(8)

                def keyed(payload, offset=0):
                    return payload, offset
            """,
        },
        "from p.a import keyed, outer\n"
        "result = outer(1, 3, 4, 5, flag=True, more=6), keyed(1, **{'offset': 2})",
        ((109, [4, 5], True, {"more": 6}, 8), (1, 2)),
        {"first", "rest", "payload"},
        {"flag", "third", "offset"},
    ),
    "exceptions keep their names": (
        {
            "p/a.py": """
                class PlantError(Exception):
                    def __init__(self, problems):
                        super().__init__("; ".join(problems))
                        self.problems = problems

                class Lost(PlantError):
                    pass

                def run():
                    try:
                        raise Lost(["one", "two"])
                    except PlantError as error:
                        return "%s: %s" % (type(error).__name__, error), error.problems
            """,
        },
        "from p.a import run\nresult = run()",
        ("Lost: one; two", ["one", "two"]),
        {"problems"},
        {"PlantError", "Lost"},
    ),
    "texts of the engine's exceptions are spelled out where they are made": (
        {
            "p/a.py": """
                class ModelError(Exception):
                    pass

                class FormatError(ModelError):
                    pass

                class Op:
                    def refuse(self, reason, *values):
                        error = ModelError(reason, *values)
                        raise FormatError("operator %s: %s" % ("ADD", error))

                def run():
                    told = []
                    for n in range(4):
                        try:
                            if n == 3:
                                raise ModelError(told[0])
                            if n == 0:
                                raise ModelError("a tensor of shape %s is not supported" % (2,))
                            if n == 1:
                                Op().refuse("a tensor of shape 4 is not supported")
                            Op().refuse("all %d are not supported" % n)
                        except ModelError as error:
                            told.append(str(error))
                    return told
            """,
        },
        "from p.a import run\nresult = run()",
        [
            "a tensor of shape 2 is not supported",
            "operator ADD: a tensor of shape 4 is not supported",
            "operator ADD: all 2 are not supported",
            "a tensor of shape 2 is not supported",
        ],
        {"refuse", "reason"},
        {"ModelError", "FormatError"},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_shrunk_programs_do_what_they_did(name, tmp_path):
    files, main, wanted, gone, stay = CASES[name]
    files = written(files)
    shrunk = shrink(files, {"main.py": main})
    assert result_of(tmp_path / "before", files, main) == wanted
    assert result_of(tmp_path / "after", shrunk, main) == wanted, shrunk
    assert not gone & names(shrunk), shrunk
    assert stay <= names(shrunk), shrunk


def test_kept_names_stay():
    text = "class App:\n    def _record(self, now_ms):\n        self._seen = now_ms\n"
    assert "_record" not in names(shrink({"p/a.py": text}))
    assert "_record" in names(shrink({"p/a.py": text}, kept=("_record",)))


def test_machine_code_keeps_its_annotations_and_names():
    text = """
        import micropython

        LIMIT = 7

        @micropython.viper
        def fill(target: ptr8, count: int) -> int:
            for i in range(count):
                target[i] = LIMIT
            return count

        def _plain(value: int) -> int:
            return fill(value, 1)
    """
    (shrunk,) = shrink(written({"p/a.py": text})).values()
    assert "(target: ptr8, count: int) -> int" in shrunk
    assert "target[i] = 7" in shrunk
    assert "_plain" not in shrunk
    assert shrunk.count("int") == 2


def test_names_of_the_hardware_are_known():
    """Whoever defines a method of the same name must not rename that of the hardware."""
    defined = set()
    for path in SIMULATED.glob("[!_]*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                defined |= {node.name} | {
                    each.name for each in node.body if isinstance(each, ast.FunctionDef)
                }
    defined = {name for name in defined if name[0] != "_"}
    assert len(defined) > 30
    assert not defined - EXTERNAL


def test_texts_of_errors_are_lines_of_a_file(tmp_path):
    files = {
        "p/__init__.py": "",
        "p/a.py": """
            class ModelError(Exception):
                pass

            def told(n):
                try:
                    raise ModelError("shape %s of %d" % ((1, 2), n))
                except ModelError as error:
                    return str(error)
            """,
    }
    main = "from p.a import told\nresult = told(3)"
    shrunk = shrink(written(files), {"main.py": main})
    assert shrunk.pop("p/texts.txt") == "shape %s of %d\n"
    assert "shape" not in "".join(shrunk.values())
    assert result_of(tmp_path, shrunk, main) == "0 (1, 2) 3"


def test_assignments_to_several_names_make_no_tuple():
    text = "def f(a, b):\n    a, b = b, a\n    c = (a, b)\n    return (c, a)\n"
    (shrunk,) = shrink({"p/a.py": text}).values()
    assert "= (" not in shrunk


def test_broken_files_are_named():
    with pytest.raises(SyntaxError) as error:
        shrink({"p/bad.py": "def f(:"})
    assert error.value.filename == "p/bad.py"
