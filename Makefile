# Everything a developer does, by name. Python 3.11 or newer, make and git are all a machine needs to start: the first target
# that needs them makes .venv from requirements.lock, and the tests build or fetch the API server they run against.

MAKEFLAGS += --warn-undefined-variables --no-builtin-rules --no-print-directory
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
KEEP ?=
# The earlier commit of make test-upgrade.
FROM ?= HEAD
ARGS ?=
# The Kubernetes under test: kwok (a control plane, pods that run nothing), node (one real node), kind, or kubeconfig ($KUBECONFIG).
TESTBED ?= kwok
SHORT := not slow
# Cluster tests wait more than they work. Each of these has planes of its own, so only kwok can have several.
WORKERS ?= 3
AT_ONCE = $(if $(filter kwok,$(TESTBED)),--numprocesses=$(WORKERS) --dist=loadfile)
BIN := .venv/bin
READY := .venv/.stamp
GENERATED := build/generated
WITH_DEPLOY := PYTHONPATH=deploy $(BIN)/python
WRITE_CRDS := $(BIN)/python -m keyturn.api.crd_generation
WRITE_REFERENCE := $(BIN)/python -m keyturn.cli.references.reference_pages
WRITE_CHART := $(BIN)/python -m keyturn.cli.references.chart_files crds deploy/policies charts/keyturn
WRITE_DIAGRAM := $(BIN)/python -m keyturn.cli.references.state_diagram
WRITE_ARGOCD := $(BIN)/python deploy/argocd/render.py

##@ Use it

.PHONY: demo
demo: $(READY) ## Issue, use and rotate a key on a cluster of its own, in a minute (KEEP=1 leaves it running)
	@KEEP='$(KEEP)' $(BIN)/python tests/demo/__main__.py

.PHONY: demo-stop
demo-stop: $(READY) ## End the cluster that make demo KEEP=1 left running
	@$(BIN)/python tests/demo/__main__.py --stop

.PHONY: run
run: $(READY) ## Run the operator from this checkout against the current kubeconfig (ARGS="--log-format json")
	@$(BIN)/keyturn operator --secret-access watch --admission-policies none $(ARGS)

##@ Test it

.PHONY: test
test: $(READY) ## All tests that need no container runtime: unit, cluster, the short end-to-end ones
	@$(MAKE) test-unit
	@$(MAKE) test-cluster
	@$(MAKE) test-gateways
	@$(MAKE) test-chart
	@$(MAKE) test-monitoring
	@$(MAKE) test-argocd
	@$(MAKE) test-e2e
	@echo '== All tests passed'

.PHONY: test-unit
test-unit: $(READY) ## Decisions, formats and laws, in plain Python: no sockets, under 10 s
	@echo '== Unit tests: no cluster, about 10 s'
	@$(BIN)/pytest tests/unit $(ARGS)

.PHONY: test-cluster
test-cluster: $(READY) ## User stories against a real API server and etcd, about 15 min
	@echo '== Cluster tests: a real API server and etcd, about 15 min. The first run on a machine builds them from source'
	@echo '   (about ten minutes on two cores, downloads included); they are kept in ~/.cache/keyturn for all checkouts'
	@$(BIN)/pytest tests/cluster --testbed=$(TESTBED) $(AT_ONCE) -m '$(SHORT)' $(ARGS)

.PHONY: test-gateways
test-gateways: $(READY) ## Real Envoy, nginx, Traefik, HAProxy and Caddy with the configurations people copy; about 1 min
	@echo '== Gateway tests: real gateways before an API, about 1 min. The first run on a machine fetches them (about a minute)'
	@$(BIN)/pytest tests/gateways -m '$(SHORT)' $(ARGS)

.PHONY: test-gateways-long
test-gateways-long: $(READY) ## As above, with what takes 30 s: Traefik before a verifier that hangs
	@$(BIN)/pytest tests/gateways $(ARGS)

.PHONY: test-chart
test-chart: $(READY) ## The Helm chart: what it makes of its values, and its life on a real API server; about 2 min
	@echo '== Chart tests: helm alone, then on a real API server, about 2 min. The first run on a machine builds helm, about 5 min'
	@$(BIN)/pytest tests/chart -m '$(SHORT)' $(ARGS)

.PHONY: test-argocd
test-argocd: $(READY) ## A real Argo CD syncs keys from a real Git server; what kstatus says (Flux); about 90 s
	@echo '== Argo CD tests: a real Argo CD, about 90 s. The first run on a machine builds it from source (about five minutes)'
	@$(BIN)/pytest tests/argocd -m '$(SHORT)' $(ARGS)

.PHONY: test-chart-long
test-chart-long: $(READY) ## The chart with real pods on a real node, killed upgrades, a thousand keys at the end; about 5 min
	@$(BIN)/pytest tests/chart -m slow -s $(ARGS)

.PHONY: test-e2e
test-e2e: $(READY) ## The whole product on a cluster, also on one real node, the short form, under 3 min
	@echo '== End-to-end tests: the operator as a process of its own; the slow parts are real rollouts and real waiting, about 3 min'
	@$(BIN)/pytest tests/e2e --testbed=$(TESTBED) -m '$(SHORT)' $(ARGS)

.PHONY: test-monitoring
test-monitoring: $(READY) ## Alerts and dashboard on a real Prometheus, with ApiKeys in every state; about 1 min
	@echo '== Monitoring tests: a real Prometheus scrapes a real operator, about 1 min'
	@$(BIN)/pytest tests/monitoring $(ARGS)

.PHONY: image-test
image-test: $(READY) ## The image from nothing twice, and by a Docker engine from the Containerfile (as root on Debian); about 10 min
	@$(BIN)/pytest tests/e2e/test_image.py tests/e2e/test_image_archive.py tests/e2e/test_image_recipe.py $(ARGS)

.PHONY: kind-test
kind-test: $(READY) ## The end-to-end tests on kind (as root on Debian it brings kind and an engine itself)
	@$(BIN)/pytest tests/e2e --testbed=kind -m 'not slow' $(ARGS)

.PHONY: test-compat
test-compat: $(READY) ## The cluster tests on the oldest Kubernetes that is supported; the first run builds it (about 10 min)
	@$(BIN)/pytest tests/cluster --kubernetes=oldest $(AT_ONCE) -m '$(SHORT)' $(ARGS)

.PHONY: test-upgrade
test-upgrade: $(READY) ## The operators of an earlier commit and of this one take turns over the same keys (FROM=v0.1.0)
	@$(BIN)/pytest tests/cluster/deploy/test_old_operator.py --upgrade-from='$(FROM)' $(ARGS)

.PHONY: chaos
chaos: $(READY) ## The long accidents: kills after every call, frozen leaders, half-open watches, ten thousand ApiKeys; about 20 min
	@$(BIN)/pytest tests/e2e tests/cluster -m slow $(ARGS)

.PHONY: journey
journey: $(READY) ## A client behind Envoy lives through twenty rotations, in pods and with accidents, and once all by Argo CD; about 20 min
	@$(BIN)/pytest tests/e2e/journey -m slow -s $(ARGS)

.PHONY: bench-operator
bench-operator: $(READY) ## Requests, seconds and bytes for thousands of ApiKeys; about 8 min
	@$(BIN)/python tests/bench/bench_operator.py $(ARGS)

.PHONY: bench-tenants
bench-tenants: $(READY) ## How much later a rotation is done while a neighbour makes noise of every kind; about 5 min
	@$(BIN)/python tests/bench/bench_tenants.py $(ARGS)

.PHONY: bench-verifier
bench-verifier: $(READY) ## What a check costs in every door, revocation, start, memory, garbage without end (ARGS="--quick http"); about 10 min
	@$(BIN)/python tests/bench/bench_verifier.py $(ARGS)

.PHONY: bench-argocd
bench-argocd: $(READY) ## A thousand ApiKeys in one Application of Argo CD, all rotating; prints what it cost; about 5 min
	@$(BIN)/pytest tests/argocd -m slow --capture=no $(ARGS)

##@ Release it

.PHONY: image
image: $(READY) ## The container image: build/image/keyturn-<version>.oci.tar, its digest and size (ARGS=--again: even if nothing changed)
	@$(BIN)/python deploy/image/build.py $(ARGS)

.PHONY: image-lock
image-lock: $(READY) ## Pin the Debian packages of the image anew, as Debian serves them today
	@$(BIN)/python deploy/image/build.py --lock

##@ Change it

.PHONY: check
check: $(READY) ## Format, lint, types, layers and generated files; no cluster, under a minute
	@mkdir -p build
	@$(MAKE) --jobs=4 --keep-going --output-sync=target check-format check-lint check-mypy check-pyright check-layers check-versions check-site check-generated
	@echo '== Checks passed'

.PHONY: check-format check-lint check-mypy check-pyright check-layers check-versions check-site check-generated
check-format: $(READY)
	@$(BIN)/ruff format --check --quiet . || { echo "Not formatted: run make fmt"; exit 1; }
check-lint: $(READY)
	@$(BIN)/ruff check --quiet .
check-mypy: $(READY)
	@$(BIN)/mypy --no-error-summary
check-pyright: $(READY)
	@$(BIN)/pyright --warnings > build/pyright.txt || { cat build/pyright.txt; exit 1; }
check-layers: $(READY)
	@$(BIN)/lint-imports --no-logo > build/layers.txt || { cat build/layers.txt; exit 1; }
check-versions: $(READY)
	@$(WITH_DEPLOY) -m release.versions
check-site: $(READY)
	@$(BIN)/python docs/site/build_site.py
# Into a folder of its own and compared, so that the check changes nothing and works beside uncommitted work.
check-generated: $(READY)
	@rm -rf $(GENERATED)
	@mkdir -p $(GENERATED)/crds $(GENERATED)/reference
	@$(WRITE_CRDS) $(GENERATED)/crds
	@$(WRITE_REFERENCE) $(GENERATED)/reference
	@$(WRITE_DIAGRAM) $(GENERATED)/explanation
	@$(WRITE_CHART) $(GENERATED)/chart $(GENERATED)/reference
	@diff -r -u crds $(GENERATED)/crds || { echo 'crds/ is not what operator/keyturn/api says: run make crds'; exit 1; }
	@diff -r -u docs/explanation/key-versions.mmd $(GENERATED)/explanation/key-versions.mmd || { echo 'The diagram is out of date: run make docs'; exit 1; }
	@(cd $(GENERATED)/chart && find . -type f) | while read -r file; do \
	    diff -u "charts/keyturn/$$file" "$(GENERATED)/chart/$$file" || { echo 'The chart is out of date: run make chart'; exit 1; }; \
	done
	@mkdir -p $(GENERATED)/argocd && $(WRITE_ARGOCD) $(GENERATED)/argocd
	@for file in $(GENERATED)/argocd/*; do \
	    diff -u "deploy/argocd/$$(basename "$$file")" "$$file" || { echo 'deploy/argocd is not what its Lua files say: run make argocd'; exit 1; }; \
	done
	@for page in $(GENERATED)/reference/*; do \
	    diff -u "docs/reference/$$(basename "$$page")" "$$page" || { echo 'A reference page is out of date: run make docs'; exit 1; }; \
	done

.PHONY: fmt
fmt: $(READY) ## Format the code, fix what can be fixed by itself
	@$(BIN)/ruff format --quiet .
	@$(BIN)/ruff check --quiet --fix .

.PHONY: crds
crds: $(READY) ## Make crds/ anew from operator/keyturn/api
	@mkdir -p crds
	@rm -f crds/*.yaml
	@$(WRITE_CRDS) crds

.PHONY: chart
chart: $(READY) ## Make anew what the Helm chart has from elsewhere: version, CRDs, policies, settings, descriptions, tables
	@$(WRITE_CHART) charts/keyturn docs/reference

.PHONY: argocd
argocd: $(READY) ## Make deploy/argocd anew: the settings from the Lua files, the testdata from what the operator says
	@$(WRITE_ARGOCD) deploy/argocd
	@rm -f deploy/argocd/testdata/*.yaml
	@$(BIN)/python tests/gen/gitops_situations.py

.PHONY: docs
docs: $(READY) ## Make the generated pages anew (resources, settings, metrics ...), and the site from all pages: build/site
	@mkdir -p docs/reference
	@$(WRITE_REFERENCE) docs/reference
	@$(WRITE_DIAGRAM) docs/explanation
	@$(BIN)/python docs/site/build_site.py
	@echo '== The site is in build/site: open build/site/index.html'

.PHONY: picture
picture: $(READY) ## Make docs/images/demo.svg anew from what make demo prints
	@mkdir -p build
	@$(MAKE) demo > build/demo.txt
	@$(BIN)/python docs/site/terminal_picture.py < build/demo.txt > docs/images/demo.svg

.PHONY: lock
lock: $(READY) ## Make requirements.lock anew after a change in pyproject.toml (ARGS=--upgrade: newest versions)
	@$(BIN)/uv pip compile pyproject.toml --quiet --universal --python-version 3.11 --all-extras --generate-hashes \
	    --no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock' --output-file requirements.lock $(ARGS)

.PHONY: release
release: $(READY) ## Everything that is published of this commit, into dist/: package, image, chart, manifests, notes, checksums (ARGS="python notes": only these)
	@$(WITH_DEPLOY) -m release $(ARGS)

.PHONY: clean
clean: ## Remove what can be made again: .venv, caches, build output
	@rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache operator/*.egg-info
	@find operator tests -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: help
help: ## Show this
	@awk 'BEGIN { FS = ":.*## " } \
	    /^##@/ { printf "\n%s\n", substr($$0, 5) } \
	    /^[a-z0-9-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# pip as old as Python 3.11.0 brings can do this; nothing is fetched that requirements.lock does not name with its hash.
$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Keyturn needs Python 3.11 or newer; say which: make PYTHON=python3.12")'
	@echo '== Setting up .venv from requirements.lock, about 30 s'
	@test -x $(BIN)/pip || $(PYTHON) -m venv --clear .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@mkdir -p build
	@touch $@
