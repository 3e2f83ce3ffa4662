# One binary and nothing else: no shell, no libraries, no user but 65532. It writes no file.
ARG RUST=rust:1.95-bookworm

FROM ${RUST} AS build
WORKDIR /src
COPY . .
ENV RUSTFLAGS="-C target-feature=+crt-static"
# With --target the flags don't reach build scripts and macros, which can't be static.
RUN target="$(rustc -vV | sed -n 's/^host: //p')" \
 && cargo build --release --locked --package amanat --bin amanat --target "${target}" \
 && install -D -m 0555 "target/${target}/release/amanat" /out/amanat

FROM scratch
COPY --from=build /out/amanat /amanat
USER 65532:65532
EXPOSE 9443 8080
ENTRYPOINT ["/amanat"]
CMD ["operator"]
