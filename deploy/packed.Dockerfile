# The images of Dockerfile, of binaries that are built already: it pulls nothing.
# Its context is what "scripts/images.sh binaries" makes; scripts/images.sh does both.
ARG BASE_IMAGE=scratch

FROM ${BASE_IMAGE} AS base
COPY etc/ /etc/
COPY probe /usr/local/bin/probe
USER 65532:65532
WORKDIR /

FROM base AS dispatcher
COPY dispatcher /usr/local/bin/dispatcher
ENV GAVEL_LISTEN=0.0.0.0:8080
EXPOSE 8080
ENTRYPOINT ["/usr/local/bin/dispatcher"]

FROM base AS worker
COPY worker /usr/local/bin/worker
ENV GAVEL_WORKER_LISTEN=0.0.0.0:8081
EXPOSE 8081
ENTRYPOINT ["/usr/local/bin/worker"]

FROM base AS gavel
COPY gavel /usr/local/bin/gavel
ENTRYPOINT ["/usr/local/bin/gavel"]

FROM base AS modelsim
COPY modelsim /usr/local/bin/modelsim
EXPOSE 8090
ENTRYPOINT ["/usr/local/bin/modelsim"]
CMD ["--listen=0.0.0.0:8090"]
