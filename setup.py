"""The one thing that setup.cfg cannot say: what is compiled, where there is a C compiler."""

from setuptools import Extension, setup

FLAGS = ["-O3", "-fno-trapping-math", "-fno-math-errno"]  # loops over floats become vectors
NAMES = "tagger/_eighth", "tagger/model/_sift", "tagger/model/_match"

setup(
    ext_modules=[
        Extension(name.replace("/", "."), [f"{name}.c"], extra_compile_args=FLAGS, optional=True)
        for name in NAMES
    ]
)
