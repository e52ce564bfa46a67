# landmark-tag with its model, on the CPU, as a user without rights:
#   docker build -t landmark-tag .
#   docker run --rm --user "$(id -u):$(id -g)" -v ~/Pictures:/photos landmark-tag
FROM python:3.12-slim-bookworm AS build
RUN apt-get update \
    && apt-get install --yes --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY setup.py setup.cfg pyproject.toml MANIFEST.in LICENSE README.md ./
COPY tagger tagger
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM python:3.12-slim-bookworm
LABEL org.opencontainers.image.title="landmark-tag" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /wheels /wheels
# PyTorch's own index has it without CUDA, far smaller than what PyPI gives.
RUN pip install --no-cache-dir --index-url https://download.pytorch.org/whl/cpu torch \
    && pip install --no-cache-dir "$(ls /wheels/*.whl)[heic,bucket,app,tracks]" \
    && rm -r /wheels \
    && useradd --create-home --uid 1000 photos \
    && install --directory --mode 1777 /state
# The ledger, which undo reads, outlives the container where a volume is mounted: -v landmark:/state
# Libraries ask for a name and a home, which a --user of the host has not.
ENV XDG_STATE_HOME=/state HOME=/state USER=photos PYTHONUNBUFFERED=1
USER photos
WORKDIR /photos
ENTRYPOINT ["landmark-tag"]
CMD ["/photos"]
