# One image for both servers, whose command says which; and one for a computer, with restic in it.
#   docker build --tag offsite .
#   docker build --tag offsite-device --target device .
ARG BASE=python:3.11-slim

FROM ${BASE} AS build
WORKDIR /source
COPY pyproject.toml hatch_build.py README.md LICENSE ./
COPY protos protos
COPY service_kit service_kit
COPY archive_gateway archive_gateway
COPY provider_service provider_service
COPY customer_service customer_service
COPY device_agent device_agent
RUN python -m venv /opt/offsite && /opt/offsite/bin/pip install --no-cache-dir .

FROM ${BASE} AS common
COPY --from=build /opt/offsite /opt/offsite
# A user of its own; these folders belong to it, and a volume mounted at one takes that over.
RUN useradd --system --uid 10001 --home-dir /data offsite \
    && mkdir /data /archive && chown offsite: /data /archive
ENV PATH=/opt/offsite/bin:$PATH PYTHONDONTWRITEBYTECODE=1

FROM common AS device
RUN apt-get update && apt-get install --yes --no-install-recommends restic \
    && rm -rf /var/lib/apt/lists/*
USER offsite
ENV OFFSITE_DEVICE_STATE=/data RESTIC_CACHE_DIR=/data/cache
VOLUME /data
ENTRYPOINT ["offsite-device"]
CMD ["--help"]

# The last one is what is built where none is named.
FROM common AS server
USER offsite
ENV OFFSITE_PROVIDER_DATA=/data OFFSITE_CUSTOMER_DATA=/data
VOLUME /data
