# make help lists what there is.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

GO    ?= go
PKG   ?= ./...
RUN   ?= .
SOAK  ?= 1h
TORTURE ?= 8m
SEED    ?= 0
TORTURE_FLAGS ?=
FROM    ?=
MUTANTS ?=
FUZZ  ?= 30s
ONLY  ?=
IMAGE ?= gavel-redis:test
VULNDB ?= latest

# Two test packages at a time: most tests wait for a Redis, not for a core. What
# go vet says here make lint says too.
TEST_FLAGS ?= -race -p 2 -parallel 4 -vet=off -timeout 8m

# What is tested against containers: the bench itself, and the rooms that lean
# most on what a server does.
IMAGE_PKGS ?= ./internal/redistest/... ./internal/lease/... ./internal/control/...

# What runs on clusters and sentinels.
CLUSTER_PKGS ?= ./internal/redistest ./internal/rediskit ./cmd
CLUSTER_RUN  ?= Cluster|Sentinel

# What leans on the server itself, for the servers that a machine does not have installed.
SERVER_PKGS ?= ./internal/{rediskit,redistest,beat,stream,lease,control,budget,audit,keyring,checkpoint,api}/... ./cmd ./cmd/internal/deployment

TOOLS        := $(CURDIR)/.tools
LINT_VERSION := 2.15.0
OIDC_VERSION := v3.51.17
OTEL_VERSION := v0.165.0
HELM_VERSION := v4.3.2
PROMETHEUS_OPERATOR_VERSION := v0.85.0
LINT         := $(TOOLS)/golangci-lint-$(LINT_VERSION)

##@ Every day

.PHONY: help
help: ## list the targets
	@awk 'BEGIN {FS = ":.*## "} \
	  /^##@/ {printf "\n%s\n", substr($$0, 5)} \
	  /^[a-z-]+:.*## / {printf "  %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "  PKG=./internal/lease/... and RUN=TestName narrow test and cover down."

.PHONY: build
build: ## build the binaries into bin/
	$(GO) build -trimpath -o bin/ ./cmd/...

.PHONY: test
test: ## unit tests, script specs and stories, on a real Redis that it finds or installs
	@scripts/redis.sh ensure
	$(GO) test $(TEST_FLAGS) -run '$(RUN)' $(PKG)

.PHONY: test-image
test-image: redis-image ## a part of the tests against containers of that image, through testcontainers
	GAVEL_TEST_REDIS_IMAGE=$(IMAGE) TESTCONTAINERS_RYUK_DISABLED=true \
	  $(GO) test $(TEST_FLAGS) -count=1 $(IMAGE_PKGS)

.PHONY: lint
lint: $(LINT) ## golangci-lint with the house's limits
	$(LINT) run

.PHONY: fmt
fmt: $(LINT) ## format the code as lint wants it
	$(LINT) fmt

.PHONY: check
check: tidy lint test ## what CI runs on every change

.PHONY: cover
cover: ## tests with coverage: the total, and coverage.html to look at
	@scripts/redis.sh ensure
	@mkdir -p bin
	$(GO) test $(TEST_FLAGS) -run '$(RUN)' -coverpkg=./... -coverprofile=bin/cover.out $(PKG)
	@$(GO) tool cover -html=bin/cover.out -o bin/coverage.html
	@$(GO) tool cover -func=bin/cover.out | tail -1

.PHONY: tidy
tidy: ## fail when a go.mod or go.sum is not tidy, or the bench does not compile
	$(GO) mod tidy -diff
	cd bench && $(GO) mod tidy -diff && $(GO) vet ./...

.PHONY: vuln
vuln: ## known vulnerabilities in what the binaries call (VULNDB= a version of the database)
	scripts/vuln.sh $(VULNDB)

##@ Ship

.PHONY: image
image: ## build the images gavel-{dispatcher,worker,cli,modelsim}:local, pulling nothing
	@scripts/images.sh

.PHONY: deploy-test
deploy-test: ## hold deploy/ to the binaries, and Redis's users to the scripts
	@scripts/redis.sh ensure
	$(GO) test $(TEST_FLAGS) ./cmd/internal/deployment/...

.PHONY: recording
recording: build ## record docs/kill-all.svg anew: a real run in a real terminal (needs npm and asciinema)
	scripts/recording.sh

.PHONY: openapi
openapi: ## lint the OpenAPI document, make a client of it with an npm tool, and use that client
	scripts/openapi.sh

.PHONY: rules
rules: ## alerts by promtool, and alerts and dashboard asked of a fleet that runs under a real Prometheus
	@scripts/redis.sh ensure
	promtool check config deploy/prometheus/prometheus.yml
	promtool test rules deploy/prometheus/rules_test.yml
	$(GO) test -race -count=1 -run TestRulesAndDashboardOfALiveFleet ./cmd -args -prometheus="$$(command -v prometheus)"

.PHONY: chart
chart: ## the Helm chart: lint, render with several sets of values, decode strictly
	cd deploy/helm/check && $(GO) mod tidy -diff && $(GO) test -vet=off -count=1 -run '$(RUN)' . $(UPDATE)

.PHONY: kube
kube: ## a real kube-apiserver takes the Helm chart and says what a worker may; the first time it compiles Kubernetes, which takes long
	cd deploy/helm/kube && $(GO) mod tidy -diff && v=$$($(GO) list -m -f '{{.Version}}' k8s.io/kubernetes) && \
	  $(GO) build -ldflags "-s -w -X k8s.io/component-base/version.gitVersion=$$v" -o $(TOOLS)/kube/ k8s.io/kubernetes/cmd/kube-apiserver
	GOBIN=$(TOOLS)/kube $(GO) install helm.sh/helm/v4/cmd/helm@$(HELM_VERSION)
	keda=$$(cd deploy/helm/check && $(GO) mod download -json github.com/kedacore/keda/v2 | sed -n 's/.*"Dir": "\(.*\)".*/\1/p') && \
	  operator=$$($(GO) mod download -json github.com/prometheus-operator/prometheus-operator@$(PROMETHEUS_OPERATOR_VERSION) | sed -n 's/.*"Dir": "\(.*\)".*/\1/p') && \
	  cd deploy/helm/kube && $(GO) test -vet=off -count=1 -timeout 15m -run '$(RUN)' . -args \
	  -apiserver=$(TOOLS)/kube/kube-apiserver -helm=$(TOOLS)/kube/helm -keda="$$keda" -operator="$$operator"

.PHONY: deploy-smoke
deploy-smoke: ## run deploy/compose.yaml with those images: kill, drain, crash, restart
	@scripts/redis.sh install
	@scripts/deploy-smoke.sh

##@ Measure and torment

.PHONY: bench
bench: ## measure Gavel beside its peers (bench/ is a module of its own)
	@scripts/redis.sh ensure
	cd bench && $(GO) run . -out results.json

.PHONY: torture
torture: ## a fleet of real processes under faults for TORTURE=8m (SEED=n TORTURE_FLAGS="-topology sentinel -durability replicated"), judged by independent checkers
	@scripts/redis.sh ensure
	@mkdir -p bin/torture
	$(GO) build -trimpath -o bin/torture/ ./cmd/dispatcher ./cmd/worker ./cmd/gavel ./torture
	bin/torture/torture -bin bin/torture -for $(TORTURE) -seed $(SEED) $(TORTURE_FLAGS)

.PHONY: torture-mixed
torture-mixed: ## torture with half of the processes of an older version, built from FROM=<git revision>
	@scripts/redis.sh ensure
	@mkdir -p bin/torture
	scripts/older.sh "$(FROM)" bin/torture/older
	$(GO) build -trimpath -o bin/torture/ ./cmd/dispatcher ./cmd/worker ./cmd/gavel ./torture
	bin/torture/torture -bin bin/torture -older bin/torture/older -for $(TORTURE) -seed $(SEED) $(TORTURE_FLAGS)

.PHONY: torture-clock
torture-clock: ## a worker for torture whose clock can be moved: it takes all of Go's library anew, minutes the first time
	@mkdir -p bin/torture
	$(GO) run ./torture clock bin/torture

.PHONY: torture-mutants
torture-mutants: ## builds with one thing wrong, each of which torture must catch (MUTANTS=a,b for some)
	@scripts/redis.sh ensure
	$(GO) run ./torture mutants -only "$(MUTANTS)"

.PHONY: deaths
deaths: ## 200 SIGKILLs of workers and 100 kills in mid-stream over whole deliberations; about ten minutes
	@scripts/redis.sh ensure
	$(GO) test -timeout 45m -count=1 -v -run 'DeathOfTheirWorkers|CutsTheStream|GraphHasNoExit' ./cmd -deaths

.PHONY: races
races: ## the stories of make test again, told with processes that look for races
	@scripts/redis.sh ensure
	$(GO) test -race -timeout 12m -count=1 -run '$(RUN)' ./cmd -raced

.PHONY: stories
stories: ## all stories, the long ones with the timings of production too
	@scripts/redis.sh ensure
	$(GO) test -race -timeout 20m -count=1 -run '$(RUN)' ./cmd -nightly -raced

.PHONY: cluster
cluster: ## the stories on a Redis Cluster and on Sentinel, and what is left of kills and jobs when those fail over
	@scripts/redis.sh install
	$(GO) test -race -p 1 -timeout 20m -count=1 -run '$(CLUSTER_RUN)' $(CLUSTER_PKGS) -topologies

.PHONY: servers
servers: ## the same tests, stories, clusters and sentinels on Redis 8 and on Valkey (SERVERS=valkey-9 for one)
	scripts/servers.sh $(SERVER_PKGS)
	scripts/servers.sh -race -p 1 -run '$(CLUSTER_RUN)' $(CLUSTER_PKGS) -topologies

.PHONY: model
model: ## check the model of leases, orders and recovery with Spin
	scripts/model.sh

.PHONY: oidc
oidc: ## tokens of a real OpenID Connect provider: people log in, its keys change, it goes away
	GOBIN=$(TOOLS)/oidc $(GO) install github.com/zitadel/oidc/v3/example/server@$(OIDC_VERSION)
	$(GO) test -race -count=1 -run TestARealProvider ./internal/access/token -args -provider=$(TOOLS)/oidc/server

.PHONY: traces
traces: ## the traces again, through OpenTelemetry's own collector, over HTTP and gRPC
	@scripts/redis.sh ensure
	GOBIN=$(TOOLS) $(GO) install go.opentelemetry.io/collector/cmd/builder@$(OTEL_VERSION)
	$(TOOLS)/builder --config cmd/testdata/otelcol.yaml
	$(GO) test -race -count=1 -run TestARealCollector ./cmd -args -otelcol=$(TOOLS)/otelcol/otelcol

.PHONY: browser
browser: ## the console in headless Chromium, checked by axe; screenshots in bin/screenshots
	@scripts/redis.sh ensure
	@scripts/axe.sh
	$(GO) test -tags browser -timeout 15m -count=1 -v -run '$(RUN)' ./cmd/browser

.PHONY: fuzz
fuzz: ## every fuzz target for FUZZ=30s each, or FUZZ=2000x inputs, which compiles faster (ONLY=part of a name)
	scripts/fuzz.sh $(FUZZ) $(ONLY)

.PHONY: soak
soak: ## rounds of all tests (SOAK_TESTS=no without) and of torture on every ground in turn, for SOAK=1h, added up
	@scripts/redis.sh ensure
	scripts/soak.sh $(SOAK)

.PHONY: nightly
nightly: check vuln ## check, every heavy suite, fuzzing, and each test five times shuffled
	scripts/heavy.sh all
	scripts/model.sh full
	$(MAKE) fuzz
	$(GO) test -race -p 2 -timeout 60m -count=5 -shuffle=on ./...

##@ What tests need

.PHONY: redis
redis: ## get a redis-server for this machine, or say how
	@scripts/redis.sh install

.PHONY: redis-image
redis-image: ## build the image gavel-redis:test from this machine's redis-server, pulling nothing
	@scripts/redis.sh install
	@scripts/redis-image.sh $(IMAGE)

$(LINT):
	@mkdir -p $(TOOLS)
	GOBIN=$(TOOLS) $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v$(LINT_VERSION)
	@mv $(TOOLS)/golangci-lint $(LINT)
