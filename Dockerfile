# sweep in an image of its own: docker build -t clustersweep . && docker run --rm -v "$PWD:/work" clustersweep run sweeps/llm.toml
FROM rust:1.95-slim-bookworm AS build
WORKDIR /src
COPY Cargo.toml Cargo.lock build.rs ./
COPY benches benches
COPY data data
COPY python python
COPY src src
COPY sweeps sweeps
RUN cargo build --release --locked --bin sweep

FROM debian:bookworm-slim
COPY --from=build /src/target/release/sweep /usr/local/bin/sweep
# Results belong to whoever runs it with --user, and to no one in particular without.
USER 65534
WORKDIR /work
ENTRYPOINT ["sweep"]
