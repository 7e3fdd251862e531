# syntax=docker/dockerfile:1
# Two images from one file; docs/deployment.md says which is for whom. `make image` builds the standalone one and tries it.
#
#   docker build --target standalone -t nadenoise .
#   docker build --target gadgetron  -t nadenoise-gadgetron --build-arg GADGETRON_IMAGE=<Gadgetron's runtime image> .
#
# EXTRAS=gpu adds cupy and cufinufft. PIP_EXTRA_INDEX_URL names an index of CPU builds of torch, which save gigabytes; the
# secret pip.conf is for an index that needs more than an address. Neither is left in the image.

ARG PYTHON_IMAGE=python:3.11-slim-bookworm
ARG GADGETRON_IMAGE=gadgetron_ubuntu_rt_nocuda

FROM ${PYTHON_IMAGE} AS wheel
WORKDIR /source
COPY . .
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf \
    python3 -m venv /build \
    && /build/bin/python -m pip wheel --no-cache-dir --no-deps --wheel-dir /wheels . \
    && cp constraints.txt /wheels/

# Gadgetron finds the gadgets in its own Python, and the chain files in its share/gadgetron/config.
FROM ${GADGETRON_IMAGE} AS gadgetron
ARG GADGETRON_PYTHON=/opt/conda/envs/gadgetron/bin/python
ARG EXTRAS=
ARG PIP_EXTRA_INDEX_URL=
USER root
COPY --from=wheel /wheels /wheels
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf \
    PIP_EXTRA_INDEX_URL="${PIP_EXTRA_INDEX_URL}" "${GADGETRON_PYTHON}" -m pip install --no-cache-dir \
        -c /wheels/constraints.txt "$(echo /wheels/nadenoise-*.whl)${EXTRAS:+[${EXTRAS}]}" \
    && rm -r /wheels \
    && useradd --create-home --shell /usr/sbin/nologin nadenoise
USER nadenoise
EXPOSE 9002
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s \
    CMD ["python3", "-c", "import socket; socket.create_connection(('127.0.0.1', 9002), 4).close()"]

# What no scan needs is taken out: headers and tests of the libraries, and pip.
FROM ${PYTHON_IMAGE} AS installed
ARG EXTRAS=
ARG PIP_EXTRA_INDEX_URL=
COPY --from=wheel /wheels /wheels
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf \
    python3 -m venv /opt/nadenoise \
    && PIP_EXTRA_INDEX_URL="${PIP_EXTRA_INDEX_URL}" /opt/nadenoise/bin/python -m pip install --no-cache-dir \
        -c /wheels/constraints.txt "$(echo /wheels/nadenoise-*.whl)${EXTRAS:+[${EXTRAS}]}" \
    && /opt/nadenoise/bin/python -m pip uninstall --quiet --yes pip \
    && cd /opt/nadenoise/lib/python3*/site-packages \
    && rm -rf torch/test torch/include torch/share \
    && find torch/bin -type f ! -name torch_shm_manager -delete \
    && find . -type d -name tests -prune -exec rm -r {} +

# A server of its own: for FIRE and OpenRecon, for Gadgetron's <connect>, and for `nadenoise send`.
FROM ${PYTHON_IMAGE} AS standalone
ARG OPENRECON_LABEL=
LABEL "com.siemens-healthineers.magneticresonance.openrecon.metadata:1.1.0"="${OPENRECON_LABEL}"
RUN useradd --create-home --shell /usr/sbin/nologin nadenoise
COPY --from=installed /opt/nadenoise /opt/nadenoise
ENV PATH=/opt/nadenoise/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin MPLBACKEND=Agg PYTHONUNBUFFERED=1
USER nadenoise
WORKDIR /home/nadenoise
EXPOSE 9002
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import socket; socket.create_connection(('127.0.0.1', 9002), 4).close()"]
# Inside a container the loopback address reaches no one; who may reach the port is said with `docker run --publish`.
CMD ["nadenoise", "serve", "--host", "0.0.0.0", "--port", "9002"]
