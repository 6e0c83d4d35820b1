# The page of app.py on the CPU: docker build -t lifelike . && docker run --rm -p 127.0.0.1:7860:7860 lifelike
FROM python:3.11-slim

RUN useradd --create-home --uid 1000 lifelike
WORKDIR /home/lifelike/lifelike
COPY --chown=lifelike . .
RUN pip install --no-cache-dir --extra-index-url https://download.pytorch.org/whl/cpu -e ".[app]"

USER 1000
ENV PYTHONUNBUFFERED=1 GRADIO_ANALYTICS_ENABLED=False
EXPOSE 7860
HEALTHCHECK --interval=30s --start-period=60s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:7860/', timeout=5)"]
# Within the container only; what reaches it from outside is for `docker run -p` to say
CMD ["python", "app.py", "--host", "0.0.0.0", "--port", "7860"]
