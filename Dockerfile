# PrefLoop in a container: the embedded starter model, offline. Data lives in /data.
#   docker build -t prefloop . && docker run -p 7860:7860 -e PREFLOOP_TOKEN=... -v prefloop:/data prefloop
# For the CPU build of torch: --build-arg TORCH_INDEX=<index that offers it>

FROM python:3.11-slim

ARG TORCH_INDEX=""
RUN useradd --create-home --uid 1000 prefloop && mkdir /data && chown prefloop /data
WORKDIR /srv/prefloop
COPY pyproject.toml constraints.txt README.md ./
COPY app app
COPY trainer trainer
COPY storage storage
RUN pip install --no-cache-dir ${TORCH_INDEX:+--extra-index-url $TORCH_INDEX} -c constraints.txt .

USER prefloop
ENV PREFLOOP_HOST=0.0.0.0 PREFLOOP_PORT=7860 PREFLOOP_DATA_DIR=/data
VOLUME /data
EXPOSE 7860
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD python -c "import urllib.request as u; u.urlopen('http://127.0.0.1:7860/healthz', timeout=4)"
# listening beyond loopback needs PREFLOOP_TOKEN; without it `serve` says so and ends
CMD ["prefloop", "serve"]
