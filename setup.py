"""The one thing that setup.cfg cannot say: what is compiled, where there is a C compiler."""

from setuptools import Extension, setup

FLAGS = ["-O3", "-fno-trapping-math", "-fno-math-errno"]  # loops over floats become vectors
NAMES = "imaging/_fast_jpeg", "model/local_features/_sift", "model/local_features/_match"

setup(
    ext_modules=[
        Extension(
            f"tagger/{name}".replace("/", "."),
            [f"tagger/{name}.c"],
            extra_compile_args=FLAGS,
            optional=True,
        )
        for name in NAMES
    ]
)
