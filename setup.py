"""The one thing that setup.cfg cannot say: what is compiled."""

from setuptools import Extension, setup

FLAGS = ["-O3", "-fno-trapping-math", "-fno-math-errno"]  # loops over floats become vectors
# Without a C compiler Pillow decodes; the search in packs has no other way.
OPTIONAL = ("imaging/_fast_jpeg",)
NAMES = (*OPTIONAL, "places/_bits")

setup(
    ext_modules=[
        Extension(
            f"tagger/{name}".replace("/", "."),
            [f"tagger/{name}.c"],
            extra_compile_args=FLAGS,
            define_macros=[("Py_LIMITED_API", "0x030B0000")],  # with buffers, which 3.11 added
            py_limited_api=True,
            optional=name in OPTIONAL,
        )
        for name in NAMES
    ],
    options={"bdist_wheel": {"py_limited_api": "cp311"}},  # one wheel for all Pythons
)
