# Build: docker build -t pushpull .
# Run:   docker run -p 8080:8080 -v pushpull:/data --stop-timeout 45 pushpull
#
# The image brings a Redis-compatible server, so that it runs alone; name another with -e PUSHPULL_REDIS__URL=…
# Without that server: --build-arg EXTRAS= ; another Python, or a mirror's: --build-arg PYTHON=…

ARG PYTHON=python:3.12-slim-bookworm

FROM ${PYTHON} AS build
ARG EXTRAS=embedded
WORKDIR /src
RUN python -m venv --without-pip /opt/pushpull
# The dependencies first: they change less often than the code, and this layer is kept until pyproject.toml changes.
COPY pyproject.toml README.md LICENSE ./
COPY pushpull/__init__.py pushpull/__init__.py
RUN pip --python /opt/pushpull/bin/python install --no-cache-dir --quiet ".${EXTRAS:+[$EXTRAS]}"
COPY pushpull pushpull
RUN pip --python /opt/pushpull/bin/python install --no-cache-dir --quiet --no-deps --force-reinstall .

FROM ${PYTHON}
LABEL org.opencontainers.image.title=pushpull org.opencontainers.image.licenses=Apache-2.0
RUN groupadd --system --gid 10001 pushpull \
    && useradd --system --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent pushpull \
    && install -d -o pushpull -g pushpull -m 700 /data
COPY --from=build /opt/pushpull /opt/pushpull
COPY config/pushpull.toml /etc/pushpull.toml
ENV PATH=/opt/pushpull/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PUSHPULL_CONFIG=/etc/pushpull.toml \
    PUSHPULL_SERVER__HOST=0.0.0.0 \
    PUSHPULL_SERVER__DATA_DIR=/data
# By number: Kubernetes' runAsNonRoot cannot look a name up.
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 8080
# Longer than server.drain_s, or the service is killed while it hands its devices over: docker run --stop-timeout 45
STOPSIGNAL SIGTERM
# It waits for Redis for half a minute before it gives up.
HEALTHCHECK --interval=10s --timeout=3s --start-period=40s \
    CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen(f\"http://127.0.0.1:{os.environ.get('PUSHPULL_SERVER__PORT', '8080')}/healthz\", timeout=2)"]
CMD ["pushpull", "serve"]
