"""The commands of ``python -m train``, a module for each thing that they do."""
