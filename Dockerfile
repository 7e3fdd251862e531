# syntax=docker/dockerfile:1
# Two images from one file; docs/deployment.md says which is for whom.
#
#   docker build --target standalone -t nadenoise .
#   docker build --target gadgetron  -t nadenoise-gadgetron --build-arg GADGETRON_IMAGE=<Gadgetron's runtime image> .
#
# EXTRAS=gpu adds cupy and cufinufft. PIP_EXTRA_INDEX_URL names an index of CPU builds of torch, which save gigabytes.

ARG PYTHON_IMAGE=python:3.11-slim-bookworm
ARG GADGETRON_IMAGE=gadgetron_ubuntu_rt_nocuda

FROM ${PYTHON_IMAGE} AS wheel
WORKDIR /source
COPY . .
RUN python -m pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

# Gadgetron finds the gadgets in its own Python, and the chain files in its share/gadgetron/config.
FROM ${GADGETRON_IMAGE} AS gadgetron
ARG GADGETRON_PYTHON=/opt/conda/envs/gadgetron/bin/python
ARG EXTRAS=
ARG PIP_EXTRA_INDEX_URL=
USER root
COPY --from=wheel /wheels /wheels
COPY constraints.txt /wheels/
RUN PIP_EXTRA_INDEX_URL=${PIP_EXTRA_INDEX_URL} ${GADGETRON_PYTHON} -m pip install --no-cache-dir \
        -c /wheels/constraints.txt "$(ls /wheels/nadenoise-*.whl)${EXTRAS:+[${EXTRAS}]}" \
    && rm -r /wheels \
    && useradd --create-home --shell /usr/sbin/nologin nadenoise
USER nadenoise
EXPOSE 9002
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s \
    CMD ["python3", "-c", "import socket; socket.create_connection(('127.0.0.1', 9002), 4).close()"]

# A server of its own: for FIRE and OpenRecon, for Gadgetron's <connect>, and for `nadenoise send`.
FROM ${PYTHON_IMAGE} AS standalone
ARG EXTRAS=
ARG PIP_EXTRA_INDEX_URL=
ARG OPENRECON_LABEL=
LABEL "com.siemens-healthineers.magneticresonance.openrecon.metadata:1.1.0"="${OPENRECON_LABEL}"
COPY --from=wheel /wheels /wheels
COPY constraints.txt /wheels/
RUN PIP_EXTRA_INDEX_URL=${PIP_EXTRA_INDEX_URL} python -m pip install --no-cache-dir \
        -c /wheels/constraints.txt "$(ls /wheels/nadenoise-*.whl)${EXTRAS:+[${EXTRAS}]}" \
    && rm -r /wheels \
    && useradd --create-home --shell /usr/sbin/nologin nadenoise
ENV MPLBACKEND=Agg PYTHONUNBUFFERED=1
USER nadenoise
WORKDIR /home/nadenoise
EXPOSE 9002
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import socket; socket.create_connection(('127.0.0.1', 9002), 4).close()"]
# Inside a container the loopback address reaches no one; who may reach the port is said with `docker run --publish`.
CMD ["nadenoise", "serve", "--host", "0.0.0.0", "--port", "9002"]
