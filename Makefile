# Every target works in a fresh clone with Go alone; lint, interop, alerts and audit
# install their tools, at the versions below, into .tmp/bin.

GOLANGCI_LINT_VERSION := v2.12.2
NATS_CLI_VERSION      := v0.5.1
PROMTOOL_VERSION      := v0.316.0
GOVULNCHECK_VERSION   := v1.9.0

TIME  ?= 10s
TOOLS := $(CURDIR)/.tmp/bin
# A cache of its own: the shared one remembers findings under the paths of
# another clone, where the exceptions of .golangci.yml do not match.
LINT_CACHE := $(CURDIR)/.tmp/lint-cache
# What runs goroutines of its own; the rest only costs time under the detector.
RACED := ./store/... ./actor/... ./projector/... ./gateway/... ./cluster/... ./cmd/node/...

.DEFAULT_GOAL := check
MAKEFLAGS     += --no-print-directory

.PHONY: help
help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  %-11s %s\n", $$1, $$2}'

.PHONY: check
check: format vet lint test ## what a change must pass (default)

.PHONY: test
test: ## everything that needs no extra server, under 3 minutes
	go test ./...

.PHONY: format
format: ## fail if a file is not as gofmt writes it
	@unformatted=$$(gofmt -l actor cluster cmd gateway projector store test); \
	if [ -n "$$unformatted" ]; then printf 'not formatted:\n%s\n' "$$unformatted"; exit 1; fi

.PHONY: vet
vet: ## go vet, here and as on other systems
	go vet ./...
	GOOS=darwin go vet ./...
	GOOS=windows go vet ./...

.PHONY: lint
lint: $(TOOLS)/golangci-lint ## golangci-lint, with a reason beside each linter in .golangci.yml
	GOLANGCI_LINT_CACHE=$(LINT_CACHE) $(TOOLS)/golangci-lint run --allow-parallel-runners ./...

.PHONY: race
race: ## the race detector on what is concurrent
	go test -race -short -timeout 8m $(RACED)

.PHONY: seeds
seeds: ## the random schedules of the projector, many more than "make test" has time for
	go test -count 1 ./projector -seeds 100

# Go's engine sometimes calls it a failure that its own time is up while a worker
# is busy: then, and if it kept no input that fails, the target has another turn.
.PHONY: fuzz
fuzz: ## each fuzz target for TIME (make fuzz TIME=5m)
	@mkdir -p .tmp; \
	turn() { echo "$$1 $$2"; go test -run '^$$' -fuzz "^$$2\$$" -fuzztime $(TIME) "$$1" </dev/null >.tmp/fuzz.out 2>&1; status=$$?; cat .tmp/fuzz.out; return $$status; }; \
	late() { grep -q 'context deadline exceeded' .tmp/fuzz.out && ! grep -q 'Failing input' .tmp/fuzz.out; }; \
	grep -rlE '^func Fuzz' --include=*_test.go . | xargs -n1 dirname | sort -u | while read -r package; do \
		grep -hoE '^func Fuzz[A-Za-z0-9_]*' "$$package"/*_test.go | cut -c6- | while read -r target; do \
			turn "$$package" "$$target" || { late && turn "$$package" "$$target"; } || exit 1; \
		done || exit 1; \
	done

.PHONY: interop
interop: $(TOOLS)/nats ## the gateway with the stock nats command
	ANNALS_NATS_CLI=$(TOOLS)/nats go test -count 1 -run StockCLI -v ./gateway

.PHONY: alerts
alerts: $(TOOLS)/promtool ## the Prometheus rules of "loans generate alerts", checked and tried on made-up histories
	@mkdir -p .tmp/alerts
	@cp cmd/loans/testdata/alerts.test.yml .tmp/alerts/
	go run ./cmd/loans generate alerts > .tmp/alerts/alerts.yml
	$(TOOLS)/promtool check rules .tmp/alerts/alerts.yml
	$(TOOLS)/promtool test rules .tmp/alerts/alerts.test.yml

.PHONY: permissions
permissions: ## the users of "loans generate permissions" on a NATS server (Linux): what is refused, what works
	@go run ./test/permissions

.PHONY: hostile
hostile: ## two tenants on a server, one of them hostile: what it sees of the other, how much slower that gets
	@go run ./test/hostile

.PHONY: audit
audit: $(TOOLS)/govulncheck ## what the module is made of: checksums, licences, known vulnerabilities, a bill of materials
	@go run ./test/audit -govulncheck $(TOOLS)/govulncheck -sbom .tmp/sbom.cdx.json

.PHONY: smoke
smoke: ## each benchmark once, to see that it runs
	go test -run '^$$' -bench . -benchtime 1x ./...

.PHONY: bench
bench: ## measure: execute, load and replay, each beside raw JetStream
	@go run ./cmd/annals bench --json

.PHONY: million
million: ## a million idle actors: how much memory they take
	@go run ./test/million

.PHONY: long
long: ## a stream of a million events, before and after most of it is archived: how fast, how large
	@go run ./test/long
	@go run ./test/long -others 0

.PHONY: powercut
powercut: ## cut the power under load (root, Linux, loop devices): what is lost
	@go run ./test/powercut

.PHONY: failover
failover: ## kill, drain and pause nodes and kill NATS leaders under load (Linux): what is lost, and for how long
	@go run ./test/failover

.PHONY: rolling
rolling: ## restart all nodes one after the other under load (Linux): what fails
	@go run ./test/failover rolling

.PHONY: spread
spread: ## kill nodes that have workers of one view, build it again under load (Linux): what it then says
	go test -count=1 -v ./test/spread -trial

.PHONY: partition
partition: ## cut an owner off with a minority of the servers (root, Linux, ip): what it still answers
	@go run ./test/failover partition

.PHONY: views
views: ## kill the projector while it catches up, on each store (needs PostgreSQL): what differs, and how fast it is
	@go run ./test/views

.PHONY: rebuild
rebuild: ## build views again under load, on each store (needs PostgreSQL): what fails, what is stale
	@go run ./test/rebuild

.PHONY: restore
restore: ## lose the data, restore them from a backup, flip bits (Linux): what differs, what is not found
	@go run ./test/restore

.PHONY: crash
crash: ## kill migrations, backups, restores and archivings at random moments (Linux): what is wrong afterwards
	@go run ./test/crash

.PHONY: canary
canary: ## forget 300 of 1,000 persons and search every byte on disk for them (Linux, PostgreSQL)
	@go run ./test/canary

.PHONY: forgetting
forgetting: ## kill nodes at each step while persons are forgotten (Linux): what is readable, what is stuck
	@go run ./test/forgetting

.PHONY: cover
cover: ## how much of the code the tests reach
	@mkdir -p .tmp
	go test -coverprofile .tmp/cover.out -coverpkg ./actor/...,./cluster/...,./gateway/...,./projector/...,./store/... ./...
	@go tool cover -func .tmp/cover.out | tail -n 1

.PHONY: dev
dev: ## the loan example, in memory
	@go run ./cmd/loans dev

.PHONY: tools
tools: $(TOOLS)/golangci-lint $(TOOLS)/nats $(TOOLS)/promtool $(TOOLS)/govulncheck ## install the pinned tools

# A tool is installed again when its version above changes.
$(TOOLS)/golangci-lint: Makefile
	GOBIN=$(TOOLS) go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT_VERSION)
	@touch $@

$(TOOLS)/nats: Makefile
	GOBIN=$(TOOLS) go install github.com/nats-io/natscli/nats@$(NATS_CLI_VERSION)
	@touch $@

# Without the clients of clouds, which only discover what is to be scraped.
$(TOOLS)/promtool: Makefile
	GOBIN=$(TOOLS) go install -tags remove_all_sd github.com/prometheus/prometheus/cmd/promtool@$(PROMTOOL_VERSION)
	@touch $@

$(TOOLS)/govulncheck: Makefile
	GOBIN=$(TOOLS) go install golang.org/x/vuln/cmd/govulncheck@$(GOVULNCHECK_VERSION)
	@touch $@
