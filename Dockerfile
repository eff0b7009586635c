# synctool with its service, without PyTorch: measures and repairs on the CPU. See docs/serve.md.
FROM python:3.12-slim AS build
WORKDIR /source
COPY pyproject.toml README.md LICENSE NOTICE.md ./
COPY src src
RUN python -m venv /opt/synctool && /opt/synctool/bin/pip install --no-cache-dir '.[serve,plot]' \
    && /opt/synctool/bin/pip uninstall --yes pip \
    && find /opt/synctool -name tests -type d -prune -exec rm -rf {} +

FROM python:3.12-slim
COPY --from=build /opt/synctool /opt/synctool
RUN useradd --uid 10001 --no-create-home synctool && mkdir /data && chown synctool: /data
ENV PATH=/opt/synctool/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    MPLCONFIGDIR=/tmp/matplotlib \
    SYNCTOOL_CACHE=/data/cache \
    SYNCTOOL_SERVE_DATA=/data/serve \
    SYNCTOOL_SERVE_HOST=0.0.0.0
USER synctool
VOLUME /data
EXPOSE 8000
HEALTHCHECK --start-period=30s \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/api/health', timeout=5)"]
ENTRYPOINT ["synctool"]
CMD ["serve", "--tokens", "/run/secrets/tokens"]
