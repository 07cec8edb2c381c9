# One image for both servers: the command says which.
#   docker build --tag offsite .
ARG BASE=python:3.11-slim

FROM ${BASE} AS build
WORKDIR /source
COPY pyproject.toml hatch_build.py README.md LICENSE ./
COPY protos protos
COPY service_kit service_kit
COPY archive_gateway archive_gateway
COPY provider_service provider_service
COPY customer_service customer_service
RUN python -m venv /opt/offsite && /opt/offsite/bin/pip install --no-cache-dir .

FROM ${BASE}
COPY --from=build /opt/offsite /opt/offsite
# A user of its own; /data belongs to it, and a volume mounted there takes that over.
RUN useradd --system --uid 10001 --home-dir /data offsite && mkdir /data && chown offsite: /data
USER offsite
ENV PATH=/opt/offsite/bin:$PATH PYTHONDONTWRITEBYTECODE=1 \
    OFFSITE_PROVIDER_DATA=/data OFFSITE_CUSTOMER_DATA=/data
VOLUME /data
