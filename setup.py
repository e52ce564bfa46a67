"""The one thing that setup.cfg cannot say: what is compiled, where there is a C compiler."""

from setuptools import Extension, setup

setup(ext_modules=[Extension("tagger._eighth", ["tagger/_eighth.c"], optional=True)])
