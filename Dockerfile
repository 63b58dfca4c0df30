# comove with the CPU build of libtorch. With an NVIDIA GPU:
#   docker build --build-arg LIBTORCH=cuda -t comove:cuda . && docker run --gpus all … --device cuda
FROM rust:1.95-bookworm AS build
ARG LIBTORCH=cpu
WORKDIR /src
COPY scripts/setup scripts/setup
ENV COMOVE_CACHE=/opt/comove COMOVE_LIBTORCH=${LIBTORCH}
RUN scripts/setup
COPY . .
RUN scripts/setup && cargo build --release --locked --bin comove

FROM debian:bookworm-slim
RUN apt-get update -qq \
 && apt-get install -y -qq --no-install-recommends ca-certificates \
      gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly gstreamer1.0-libav \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --system --create-home --home-dir /var/lib/comove comove
# the binary's run path names /opt/comove
COPY --from=build /opt/comove /opt/comove
COPY --from=build /src/target/release/comove /usr/local/bin/comove
COPY config /etc/comove
USER comove
WORKDIR /var/lib/comove
EXPOSE 9464
ENTRYPOINT ["comove"]
CMD ["run", "-c", "/etc/comove/demo.toml", "--listen", "0.0.0.0:9464"]
