# Build: docker build -t pushpull .
# Run:   docker run -p 8080:8080 -v pushpull:/data pushpull
#
# The image brings a Redis-compatible server, so that it runs alone; name another with -e PUSHPULL_REDIS__URL=…

FROM python:3.12-slim AS build
WORKDIR /src
RUN python -m venv /opt/pushpull
# The dependencies first: they change less often than the code, and this layer is kept until pyproject.toml changes.
COPY pyproject.toml README.md LICENSE ./
COPY pushpull/__init__.py pushpull/__init__.py
RUN /opt/pushpull/bin/pip install --no-cache-dir --quiet '.[embedded]'
COPY pushpull pushpull
RUN /opt/pushpull/bin/pip install --no-cache-dir --quiet --no-deps --force-reinstall .

FROM python:3.12-slim
RUN useradd --system --uid 10001 --no-create-home --home-dir /nonexistent pushpull \
    && install -d -o pushpull -g pushpull -m 700 /data
COPY --from=build /opt/pushpull /opt/pushpull
COPY config/pushpull.toml /etc/pushpull.toml
ENV PATH=/opt/pushpull/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PUSHPULL_CONFIG=/etc/pushpull.toml \
    PUSHPULL_SERVER__HOST=0.0.0.0 \
    PUSHPULL_SERVER__DATA_DIR=/data
USER pushpull
WORKDIR /data
VOLUME /data
EXPOSE 8080
# Longer than server.drain_s, or the service is killed while it hands its devices over: docker run --stop-timeout 45
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
    CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen(f\"http://127.0.0.1:{os.environ.get('PUSHPULL_SERVER__PORT', '8080')}/healthz\", timeout=2)"]
CMD ["pushpull", "serve"]
