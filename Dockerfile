# With a GPU: docker build --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cu130 -t frami .
FROM python:3.11.14-slim-bookworm
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
WORKDIR /frami
COPY . .
RUN grep -E '^torch(audio)?==' constraints.txt > torch.txt \
    && pip install --no-cache-dir --index-url "$TORCH_INDEX" --requirement torch.txt \
    && pip install --no-cache-dir --constraint constraints.txt . \
    && useradd --uid 1000 --create-home frami
USER 1000
WORKDIR /home/frami
ENTRYPOINT ["frami"]
