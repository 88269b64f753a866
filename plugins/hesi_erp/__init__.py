"""How Airflow runs hesi-erp: Connections, tasks, retries, messages and pages. No accounting here; that is ``etl``."""
