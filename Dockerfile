# Two stages: the second has the installed packages and no tools to build them.
FROM python:3.12-slim AS build
WORKDIR /src
# For the compiled part, which the image of Python has no compiler for.
RUN apt-get update && apt-get install --yes --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
RUN python -m venv /opt/headrace
COPY pyproject.toml README.md LICENSE ./
COPY pipeline pipeline
# For Avro with a schema registry; empty: without.
ARG EXTRAS=registry
RUN /opt/headrace/bin/pip install --no-cache-dir ".[$EXTRAS]"

FROM python:3.12-slim
ENV PATH=/opt/headrace/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
RUN useradd --uid 10001 --user-group --no-create-home headrace \
    && install --directory --owner headrace --group headrace /var/lib/headrace
COPY --from=build /opt/headrace /opt/headrace
WORKDIR /app
COPY schemas schemas
COPY topologies topologies
COPY demo demo
USER headrace
# A volume here keeps the state; without it, a new container restores it from the changelogs.
ENV APP_DATADIR=/var/lib/headrace WEB_BIND=0.0.0.0 WEB_PORT=6066
EXPOSE 6066
CMD ["faust", "-A", "topologies.observability", "worker"]
