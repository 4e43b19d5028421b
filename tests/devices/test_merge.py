"""Merged and shrunk programs do what they did."""

from pathlib import Path

import pytest
from packages import result_of, written

from host.devices.errors import BuildError
from host.devices.merge import GROUPS, fits, merge
from host.devices.shrink import shrink

FIRMWARE = Path(__file__).resolve().parents[2] / "firmware"
ALL = {"p/app.py": ("p/*.py",)}

# name: (groups, files, main.py, what it gives)
PROGRAMS = {
    "names that collide": (
        ALL,
        {
            "p/app.py": """
                from .a import LIMIT, load
                from .b import load as load_b, name

                def run():
                    return load(), load_b(), LIMIT, name()
            """,
            "p/a.py": """
                LIMIT = 3
                _cache = ["a"]

                def load():
                    return _cache[0]
            """,
            "p/b.py": """
                LIMIT = "other"
                _cache = ["b"]

                def load():
                    return _cache[0] + LIMIT

                def name():
                    return __name__
            """,
        },
        "from p.app import run\nresult = run()",
        ("a", "bother", 3, "p.b"),
    ),
    "locals and parameters that shadow": (
        ALL,
        {
            "p/app.py": """
                from . import rules
                from .rules import limit as bound

                def run(decide):
                    reason = rules.reason(decide)
                    limit = 7
                    pick = lambda rules: rules + bound()
                    return reason, limit, pick(1), [reason for reason in (1, 2)], outer()(4)

                def outer():
                    limit = 10

                    def inner(reason):
                        nonlocal limit
                        limit += reason
                        return limit + bound()

                    return inner
            """,
            "p/rules.py": """
                def reason(value):
                    return "because %d" % value

                def limit():
                    return 100
            """,
        },
        "from p.app import run\nresult = run(5)",
        ("because 5", 7, 101, [1, 2], 114),
    ),
    "a name that is a builtin elsewhere": (
        ALL,
        {
            "p/app.py": """
                from .own import total

                def run():
                    return sum([1, 2]), total()
            """,
            "p/own.py": """
                def sum(values):
                    return "own"

                def total():
                    return sum([3])
            """,
        },
        "from p.app import run\nresult = run()",
        (3, "own"),
    ),
    "a cycle that is lazy inside a function": (
        ALL,
        {
            "p/app.py": """
                from .part import Part

                class App:
                    kind = "app"

                    def part(self):
                        return Part().owner()
            """,
            "p/part.py": """
                class Part:
                    def owner(self):
                        from .app import App
                        from . import words

                        if App:
                            from .words import suffix as App_suffix
                        return App.kind + App_suffix + words.suffix
            """,
            "p/words.py": "suffix = '!'",
        },
        "from p.app import App\nresult = App().part()",
        "app!!",
    ),
    "imports that depend": (
        ALL,
        {
            "p/app.py": """
                try:
                    from nowhere import ticks
                except ImportError:
                    from .clock import ticks
                from . import clock
                from os import path
                import json

                def run():
                    global calls
                    calls = calls + 1
                    return ticks(), clock.ticks(), path.basename("a/b"), json.dumps(calls)

                calls = 0
            """,
            "p/clock.py": """
                import json
                from os import sep as path

                try:
                    from nowhere import ticks
                except ImportError:
                    def ticks():
                        return json.loads("5"), path
            """,
        },
        "from p.app import run\nrun()\nresult = run()",
        ((5, "/"), (5, "/"), "b", "2"),
    ),
    "two groups, one imported late": (
        {"p/app.py": ("p/*.py",), "p/tools/late.py": ("p/tools/[!k]*.py",)},
        {
            "p/app.py": """
                from .base import Base, VERSION

                def run():
                    from .tools import make, kept
                    from .tools.more import Error
                    try:
                        make.make(0)
                    except Error as error:
                        return Base().name(), make.make(2).name(), str(error), kept.size, VERSION
            """,
            "p/base.py": """
                VERSION = (1, 2)

                class Base:
                    def name(self):
                        return self._own() + "."

                    def _own(self):
                        return "base"
            """,
            "p/tools/__init__.py": "",
            "p/tools/make.py": """
                from ..base import Base
                from . import more

                class Made(Base):
                    def __init__(self, count):
                        self._count = count

                    def _own(self):
                        return "made" * self._count

                def make(count):
                    if not count:
                        raise more.Error("none")
                    return Made(count)
            """,
            "p/tools/more.py": "class Error(Exception):\n    pass",
            "p/tools/kept.py": "from .more import Error\nsize = 3 if Error else 0",
        },
        "from p.app import run\nresult = run()",
        ("base.", "mademade.", "none", 3, (1, 2)),
    ),
    "operators loaded by name": (
        {"p/engine/loader.py": ("p/engine/schema.py",)},
        {
            "p/engine/__init__.py": """
                import sys

                def forget():
                    for name in list(sys.modules):
                        if name.startswith(__name__ + ".") and "ops" in name:
                            del sys.modules[name]
            """,
            "p/engine/schema.py": "INT8 = 9\nWIDE = INT8 * 2\nNAMES = {9: 'int8'}",
            "p/engine/loader.py": """
                from . import ops, schema

                def load(code):
                    return ops.prepare(code) + [schema.NAMES[schema.INT8]]
            """,
            "p/engine/ops/__init__.py": """
                def prepare(code):
                    module = __import__(__name__ + "." + code, None, None, ("prepare",))
                    return module.prepare()
            """,
            "p/engine/ops/add.py": """
                from .. import schema

                def prepare():
                    from ..schema import WIDE
                    return [schema.INT8, WIDE]
            """,
        },
        "from p.engine import forget\nfrom p.engine.loader import load\n"
        "one = load('add'); forget(); result = one, load('add')",
        ([9, 18, "int8"], [9, 18, "int8"]),
    ),
    "a package that takes in its modules": (
        {"p/engine/__init__.py": ("p/engine/m*.py",)},
        {
            "p/engine/__init__.py": "from .model import Model\n__all__ = ['Model']",
            "p/engine/model.py": """
                from .mathematics import twice

                class Model:
                    def run(self, x):
                        from .loader import load
                        return load(twice(x))
            """,
            "p/engine/mathematics.py": "def twice(x):\n    return 2 * x",
            "p/engine/loader.py": """
                from .mathematics import twice
                from . import Model

                def load(x):
                    return twice(x), Model.__name__
            """,
        },
        "from p.engine import Model\nresult = Model().run(3)[0]",
        (12),
    ),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_merged_and_shrunk_programs_do_what_they_did(name, tmp_path):
    groups, files, main, wanted = PROGRAMS[name]
    files = written(files)
    outside = {"main.py": main}
    merged = merge(files, groups, outside)
    assert len(merged) < len(files)
    versions = {
        "written": files,
        "merged": merged,
        "shrunk": shrink(files, outside),
        "both": shrink(merged, outside),
    }
    for version, texts in versions.items():
        assert result_of(tmp_path / version, texts, main) == wanted, (version, texts)


CANNOT = {
    "modules that import each other": (
        {"p/a.py": "from .b import f\ndef g(): pass", "p/b.py": "from .a import g\ndef f(): pass"},
        "",
        "p.a imports p.b imports p.a: import inside a function",
    ),
    "a module as a value": (
        {"p/a.py": "from . import b\nprint(b)", "p/b.py": "x = 1"},
        "",
        "p/a.py uses the module p.b as a value",
    ),
    "import of everything": (
        {"p/a.py": "from .b import *", "p/b.py": "x = 1"},
        "",
        "p/a.py: import \\* hides what is meant",
    ),
    "import without from": (
        {"p/a.py": "import p.b", "p/b.py": "x = 1"},
        "",
        "p/a.py: write import p.b with from",
    ),
    "something outside wants a merged module": (
        {"p/a.py": "x = 1", "p/b.py": "x = 1"},
        "from p.b import x",
        "main.py imports p.b, which is now in p.app",
    ),
}


@pytest.mark.parametrize("name", CANNOT)
def test_what_cannot_be_merged_is_told(name):
    files, main, message = CANNOT[name]
    with pytest.raises(BuildError, match=message):
        merge(files, ALL, {"main.py": main})


def agent():
    return {
        str(path.relative_to(FIRMWARE)): path.read_text()
        for path in sorted((FIRMWARE / "agent").rglob("*.py"))
    }


def test_every_pattern_has_files():
    sources = agent()
    for target, patterns in GROUPS.items():
        for pattern in patterns:
            assert [path for path in sources if fits(path, [pattern])], (target, pattern)


def test_what_start_unloads_stays_a_module():
    from agent.start import UNLOAD

    merged = merge(agent())
    assert {name.replace(".", "/") + ".py" for name in UNLOAD} <= merged.keys()
    assert len(merged) < 0.7 * len(agent())
