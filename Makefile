# The same targets for a developer, for CI and for the workflow file.
GO      ?= go
BIN     := bin/cairn
LDFLAGS := -s -w
export CGO_ENABLED ?= 0

.PHONY: all build demo test check vet lint race fuzz acceptance clients bench bench-store reliability crash long importer man cross units clean

all: build

build: ## the binary, static and stripped
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $(BIN) ./cmd/cairn

demo: build ## put a file on 8 peers, kill the one that put it, see it stay
	$(BIN) testnet demo

test: ## every test
	$(GO) test ./...

check: vet lint test ## before every commit

vet:
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { echo "not gofmt'd:"; gofmt -l $$(git ls-files '*.go'); exit 1; }
	$(GO) vet ./...

lint:
	$(GO) tool staticcheck ./...

# The race detector crashes when two threads run timers of one synctest bubble (golang/go#78156),
# so packages that test in virtual time run on one thread there: it still sees every race that
# happens-before tells of.
BUBBLES = $(shell grep -rlE '"testing/synctest"|/node/nodetest"' --include='*.go' blocks cmd dht node pubsub web | xargs -n1 dirname | sort -u | sed 's,^,./,')

race: ## before every push
	CGO_ENABLED=1 $(GO) test -race -short -cpu 1 -timeout 20m $(BUBBLES)
	CGO_ENABLED=1 $(GO) test -race -short -timeout 20m $$($(GO) list ./... | grep -vxE "$$($(GO) list $(BUBBLES) | paste -sd'|')")

fuzz: ## each target for FUZZTIME
	./.ci/fuzz $(or $(FUZZTIME),10s)

ACCEPT ?= Publisher$$|TestThreePeersAre|TestPeersAre|TestSixOf|TestHealthIs|TestARolling|TestASilent|TestAWatchedName
acceptance: ## 100 files, 20 peers, the publisher killed, and its control; three and six killed at once; restarts; silent loss; health counted
	CAIRN_ACCEPTANCE=1 $(GO) test ./cmd/cairn -run '$(ACCEPT)' -v -count=1 -timeout 30m

clients: ## Helia, verified-fetch, js-libp2p, kubo-rpc-client and ipfs-car against real daemons; npm installs them
	cd web/testdata/clients && npm ci --ignore-scripts --no-fund --no-audit
	CAIRN_CLIENTS=1 $(GO) test ./web/rpc ./cmd/cairn -run 'TestStock' -v -count=1 -timeout 10m

bench: ## readiness, memory, put and first byte, large files and directories, on real processes
	CAIRN_BENCH=1 $(GO) test ./cmd/cairn -run 'TestFigures' -v -count=1 -timeout 20m

bench-store: ## the store beside go-ds-flatfs, on the disk of CAIRN_BENCH_DIR
	CAIRN_BENCH=1 $(GO) test ./blocks/disk -run 'TestStoreFigures' -v -count=1 -timeout 20m

reliability: ## every reliability scenario in virtual time, into docs/reliability.md; one alone with ONLY=S-02
	CAIRN_REL=1 CAIRN_REL_TABLE=$(CURDIR)/docs/reliability.md $(GO) test -p 1 ./blocks/replica ./node -run 'TestReliability$$/$(ONLY)' -v -count=1 -timeout 120m

crash: ## every crash point, 500 kills, 200 power cuts (these as root): the full figures of the store
	CAIRN_LONG=1 $(GO) test ./blocks/disk -run 'NoCrash|OutlivesAKill|OutlivesAPowerCut|Control' -v -count=1 -timeout 30m

long: race acceptance bench bench-store crash ## the full figures, before an issue is closed
	$(MAKE) fuzz FUZZTIME=60s

importer: ## the CIDs of the JavaScript importer, made anew with npm
	CAIRN_NPM=1 $(GO) test ./blocks/dag -run 'TestCIDsOfTheImporterAreMadeAnew$$' -v -count=1 -timeout 10m

man: ## docs/man from the commands; the tests hold it to them
	$(GO) test ./cmd/cairn -run 'TestManPagesAreCurrent$$' -count=1 -update

cross: ## it builds where it is not tested
	GOOS=darwin GOARCH=arm64 $(GO) build ./...
	GOOS=windows GOARCH=amd64 $(GO) build ./...
	GOOS=linux GOARCH=arm64 $(GO) build ./...

units: build ## the systemd units, by systemd's own check
	./.ci/units

clean:
	rm -rf bin
