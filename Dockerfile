# One static program in an empty image, run by nobody in particular.
#
#   docker build -t cairn .
#   docker run -d --name cairn --read-only --cap-drop=ALL -v cairn:/data -p 4101:4101 -p 4101:4101/udp cairn
#   docker exec cairn /cairn id
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o /cairn ./cmd/cairn && mkdir /data

FROM scratch
COPY --from=build /cairn /cairn
COPY --from=build --chown=65532:65532 /data /data
USER 65532:65532
ENV CAIRN_HOME=/data
VOLUME /data
EXPOSE 4101/tcp 4101/udp
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=10s --start-period=10s CMD ["/cairn", "doctor", "--quick"]
ENTRYPOINT ["/cairn"]
CMD ["daemon"]
