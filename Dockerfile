# With a GPU: docker build --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cu130 -t frami .
FROM python:3.11.14-slim-bookworm
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
WORKDIR /frami
COPY . .
RUN pip install --no-cache-dir --index-url "$TORCH_INDEX" $(grep -E '^torch(audio)?==' constraints.txt) \
    && pip install --no-cache-dir --constraint constraints.txt . && useradd --create-home frami
USER frami
WORKDIR /home/frami
ENTRYPOINT ["frami"]
