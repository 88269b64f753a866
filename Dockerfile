# hesi-erp with Airflow from the same locked list as `make demo`; the sandbox runs from this image too.
FROM python:3.12-slim-bookworm

ENV AIRFLOW_HOME=/opt/airflow \
    AIRFLOW__CORE__DAGS_FOLDER=/srv/hesi-erp/dags \
    AIRFLOW__CORE__PLUGINS_FOLDER=/srv/hesi-erp/plugins \
    GX_ANALYTICS_ENABLED=False \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PYTHONUNBUFFERED=1

WORKDIR /srv/hesi-erp
COPY requirements.txt ./
RUN pip install --no-cache-dir --require-hashes --requirement requirements.txt

COPY . .
RUN pip install --no-cache-dir --no-deps --no-build-isolation --editable . \
    && useradd --create-home --uid 50000 hesi \
    && install --directory --owner hesi --mode 0700 /opt/airflow /var/lib/hesi-erp /var/lib/sandbox

USER hesi
CMD ["hesi-erp", "--help"]
