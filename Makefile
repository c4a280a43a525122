# A chain of files: make builds what is missing, in order.
#
#   .venv -> runs/latest (a trained network) -> models/digits/current (a proven model version) -> HTTP
#
# `train` and `export` always do their work anew; `demo` and `serve` only what has not been done yet.

SHELL         := bash
.SHELLFLAGS   := -eu -o pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:

PYTHON ?= python3
ARGS   ?=# for train, pytest, drawn, fuzz, fuzz-http, swap, chaos and what measures, as in: make train ARGS="--epochs 20"
# Of `make soak`
MINUTES ?= 30
# Requests a second that `make capacity` tells the replicas for
RATE ?= 1000 10000 50000
# The floor of `make accuracy`, as in: make accuracy ACCURACY="--at-least 0.995"
ACCURACY ?=
PY     := .venv/bin/python

# Most tests wait for what they have started. A process that is done takes tests from the end of the
# other's: files stay together, and what their tests share is made once.
at-once = --numprocesses 2 --dist worksteal

# $(call task,what,how long,command): say what begins, do it, say how long it took.
# Failures must stop it also where make is too old for .SHELLFLAGS (macOS brings 3.81).
task = set -eu -o pipefail; printf '\n==> %s (%s)\n' "$(1)" "$(2)"; SECONDS=0; $(3); printf '==> done in %d s\n' $$SECONDS

##@ Run it
demo: serve ## Set up, train, export and serve on http://127.0.0.1:8000

serve: models/digits/current ## Serve the current model version
	@printf '\n==> Serving (Ctrl-C stops it)\n'
	@exec $(PY) -m service

##@ Pipeline
train: .venv/.run ## Train a network into runs/<id> (MNIST: about three minutes on CPU)
	@$(train)

export: .venv/.run | runs/latest ## Turn the last run into a model version, proven equal
	@$(export)

##@ Quality
test: lint types fast ## Set up, then formatting, lint, types and the tests that start no large program
	@printf '\n==> Left out: %s.\n==> make test-all runs them (about ten minutes)\n' \
	  'whole programs, the alerts in Prometheus, the page in Chromium, proxies, other processors'

lint: .venv/.dev ## Formatting, lint and import layers, changing nothing
	@$(call task,Linting,seconds,$(PY) -m ruff check --quiet . && $(PY) -m ruff format --check --quiet . \
	  || { echo 'make format mends what a machine can'; exit 1; })
	@$(call task,Checking import layers,seconds,report=$$(.venv/bin/lint-imports --no-logo) \
	  || { echo "$$report"; exit 1; })

types: .venv/.dev ## Static types
	@$(call task,Checking types,half a minute the first time,$(PY) -m mypy)

fast: .venv/.dev ## The tests that start no large program
	@$(call task,Testing,about four minutes,$(PY) -m pytest $(at-once) -m 'not slow' $(ARGS))

test-slow: .venv/.dev ## The tests of whole programs: those of load, of two training processes
	@$(call task,Testing whole programs,about three minutes,$(PY) -m pytest $(at-once) -m slow $(ARGS))

test-monitoring: .venv/.dev prometheus ## Alerts, rules and dashboards, with a real Prometheus
	@$(call task,Testing the monitoring,about two minutes,$(PY) -m pytest tests/monitoring $(ARGS))

test-web: .venv/.dev ## The web page in a real Chromium
	@$(chromium)
	@$(call task,Testing the web page,about three minutes,$(PY) -m pytest tests/web $(ARGS))

# $(call where,condition,target,what is missing): a target where the machine has what it needs.
where = if $(1); then $(MAKE) --no-print-directory $(2); else \
  printf '\n!!! %s was LEFT OUT: %s. Then: make %s\n' $(2) $(3) $(2); fi

test-all: test-slow test-interop ## What `make test` leaves out; what needs a missing package of the system is named
	@$(call where,$(MAKE) --no-print-directory prometheus,test-monitoring,'there is no Prometheus; see above')
	@$(call where,$(chromium),test-web,'there is no Chromium; see above')
	@$(call where,$(emulator),test-processors,'it needs x86-64 and qemu-x86_64 (Debian: apt install qemu-user)')

test-interop: .venv/.dev ## Behind nginx, Caddy and HAProxy; with the clients of Java, curl and wget
	@$(call task,Testing with proxies and other clients,about a minute and a half,$(PY) -m pytest tests/interop $(ARGS))
	@$(PY) -m tests.interop.programs

test-processors: .venv/.dev ## What depends on arithmetic, on processors that QEMU emulates
	@$(call task,Testing on other processors,about four minutes,$(PY) -m pytest tests/processors $(ARGS))

fixtures: .venv/.dev ## Train and export the model version that tests serve: tests/fixtures/
	@$(call task,Training and exporting what tests serve,half a minute,$(PY) -m tests.fixtures.make)

accuracy: .venv/.dev models/digits/current ## Post every test digit to a real service, compare with PyTorch
	@$(call task,Posting the whole test set over HTTP,about 10 seconds,$(PY) -m tools.accuracy $(ACCURACY))

drawn: .venv/.loadtest models/digits/current ## Draw MNIST's test digits with many pens, post them, count
	@$(call task,Drawing and posting 2000 digits,about a minute and a half,$(PY) -m loadtest.drawings $(ARGS))

fuzz: .venv/.dev models/digits/current ## Ask a service 5,000 things and more that its OpenAPI document allows, or not
	@$(call task,Fuzzing the API with Schemathesis,some minutes,$(PY) -m tools.fuzz $(ARGS))

fuzz-http: .venv/.dev ## Read 5,000 streams that are almost HTTP as the service does and as h11 does; compare
	@$(call task,Comparing the service with a strict HTTP parser,half a minute,$(PY) -m tools.fuzz_http $(ARGS))

dashboards: .venv/.dev ## Write Grafana's dashboards anew from what deploy/grafana/ describes
	@$(PY) -m deploy.grafana

dashboard-pictures: .venv/.dev models/digits/current prometheus ## Draw what the dashboards show of a service in trouble
	@$(call task,Watching two services and drawing the dashboards,about four minutes,\
	  $(PY) -m tools.dashboard_pictures $(ARGS))

web-pictures: .venv/.dev runs/latest ## Take pictures of the web page for docs/images/
	@$(chromium)
	@$(call task,Taking pictures of the page,about half a minute,$(PY) -m tools.web_pictures $(ARGS))

swap: .venv/.dev models/digits/current ## Switch versions under load for a minute: nobody may notice
	@$(call task,Switching versions under load,about a minute and a half,$(PY) -m tools.swap $(ARGS))

chaos: .venv/.dev ## Serve under faults that a seed draws, judge every answer: make chaos ARGS="--seed 7 --seconds 120"
	@$(call task,Serving under faults,about three minutes,$(PY) -m tools.chaos $(ARGS))

bench-fairness: .venv/.dev ## How long small pictures wait while four clients send large forms
	@$(call task,Measuring beside large forms,under a minute,$(PY) -m tools.bench_fairness)

bench-web: .venv/.dev models/digits/current ## First paint, and pen up to bars, in a real Chromium
	@$(chromium)
	@$(call task,Measuring the page,about a minute,$(PY) -m tools.bench_web --markdown docs/benchmarks/page.md $(ARGS))

format: .venv/.dev ## Mend what lint complains about
	@$(PY) -m ruff check --quiet --fix . ; $(PY) -m ruff format .

##@ Load: docs/loadtest.md
loadtest: .venv/.loadtest models/digits/current ## Ever more users, as locust makes them; a report with plots in loadtest/results/
	@$(call task,Testing under load,about two minutes,$(PY) -m loadtest $(ARGS))

capacity: .venv/.loadtest models/digits/current ## The highest rate at which the SLO holds; replicas and cores: make capacity RATE=50000
	@$(call task,Looking for the highest rate at which the SLO holds,about five minutes,\
	  $(PY) -m loadtest.capacity --markdown auto $(foreach rate,$(RATE),--rate $(rate)) $(ARGS))

soak: .venv/.loadtest models/digits/current ## Steady load and a switch a minute, is there a trend? make soak MINUTES=30
	@$(call task,Soaking,$(MINUTES) minutes,$(PY) -m loadtest.soak --minutes $(MINUTES) \
	  --markdown docs/benchmarks/soak.md --plot docs/benchmarks/soak.png $(ARGS))

bench: .venv/.loadtest models/digits/current ## Measure the service against its limits, into docs/benchmarks/
	@$(call task,Measuring the service against its limits,about two minutes,$(bench) $(ARGS))

bench-peers: .venv/.loadtest models/digits/current ## The same, with mosec, LitServe, BentoML and plain FastAPI beside it
	@$(call task,Measuring the service against its limits and its peers,about seven minutes$(,) and two more the first time,\
	  $(bench) --peers $(ARGS))

# No prerequisites: they would put the CPU's wheel where the GPU's has to be.
bench-gpu: PY := .venv-gpu/bin/python
bench-gpu: ## On a CUDA machine: engine, service with 1 to N workers, what is left of the GPU
	@command -v "$(PY)" > /dev/null || { echo "There is no $(PY): docs/gpu.md says how to install the group gpu there;" \
	  "where it is installed elsewhere, name its Python: make bench-gpu PY=/path/to/python"; exit 2; }
	@$(call task,Measuring the engine and the service on the GPU,a few minutes,$(bench-gpu) $(ARGS))

##@ Docker: docs/docker.md
up: ## Build the images, train where there is no model, serve in the background; on a GPU if there is one
	@$(gpu-told)
	@$(compose) build
	@$(compose) up --no-log-prefix --exit-code-from trainer trainer
	@$(compose) up --detach
	@printf '\n==> Service on http://%s, Grafana on http://%s; make down stops all\n' \
	  "$$($(compose) port service 8000)" "$$($(compose) port grafana 3000)"

down: ## Stop what `make up` started; models and numbers are kept
	@docker compose --profile loadtest down

images: ## Build every image, with version and commit on its label
	@$(call task,Building the images,about ten minutes the first time$(,) most of it PyTorch and CUDA,\
	  docker compose --profile loadtest build && $(compose-gpu) build service)

sbom: ## What the service's image holds, as CycloneDX, into dist/
	@$(call task,Listing what the service image holds,seconds,mkdir -p dist && docker compose build sbom \
	  && docker compose run --rm --no-TTY sbom > dist/service.cdx.json && ls -l dist/service.cdx.json)

audit: .supply/bin/pip-audit ## Known vulnerabilities of all that is pinned; needs a network
	@$(call task,Asking about known vulnerabilities,seconds,$(PY) -m tools.audit)

test-docker: .venv/.dev ## Images and compose on a real Docker engine
	@$(call task,Testing images and compose,about fifteen minutes the first time,\
	  $(PY) -m pytest tests/docker $(ARGS))

##@ Housekeeping
constraints: .venv/.dev ## Pin the newest versions that fit, on every platform, in constraints.txt
	@$(PY) -m pip install --quiet uv
	@{ head -n 1 constraints.txt; .venv/bin/uv pip compile pyproject.toml --quiet --upgrade \
	  --universal --python-version 3.11 --no-annotate --no-header --no-emit-index-url \
	  $(foreach group,setup export serve gpu loadtest report supply dev,--group $(group)); } > constraints.new
	@mv constraints.new constraints.txt

clean: ## Remove what can be rebuilt: the environment and caches, not data, runs or models
	rm -rf .venv .peers .supply .prometheus .pictures dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .schemathesis

help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} /^##@ / {printf "\n%s\n", substr($$0, 5)} \
	      /^[a-z-]+:.*## / {printf "  \033[36m%-18s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# ---- files ------------------------------------------------------------------------------------

train  = $(call task,Training,about three minutes on CPU,$(PY) -m training $(ARGS))
emulator = [ "$$(uname -m)" = x86_64 ] && command -v qemu-x86_64 > /dev/null
chromium = $(PY) -m tests.web.chromium > /dev/null
bench  = $(PY) -m loadtest.bench --markdown docs/benchmarks/serving.md
bench-gpu = $(PY) -m loadtest.bench_gpu --markdown docs/benchmarks/gpu.md
export = $(call task,Exporting and proving the export,about 15 seconds,$(PY) -m export)

runs/latest: | .venv/.run
	@$(train)

# Only when there is none: what is served changes by `make export`, never by serving.
models/digits/current: | .venv/.run
	@if [ ! -e runs/latest ]; then $(train); fi
	@$(export)

# ---- docker -----------------------------------------------------------------------------------

# On the images' labels, and on the card of what is trained in one.
up images test-docker: export VERSION  = $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
up images test-docker: export REVISION = $(shell git rev-parse HEAD 2>/dev/null)$(shell git status --porcelain 2>/dev/null | sed -n '1s/.*/+changes/p')
up images test-docker: export CREATED  = $(shell git show --no-patch --format=%cI HEAD 2>/dev/null)

compose-gpu = docker compose --file docker-compose.yml --file docker-compose.gpu.yml
gpu         = $(shell docker info --format '{{json .Runtimes}}' 2>/dev/null | grep -o nvidia | head -n 1)
compose     = $(if $(gpu),$(compose-gpu),docker compose)
gpu-told    = if [ -n "$(gpu)" ]; then echo '==> Docker has the NVIDIA runtime: training and serving on the GPU'; \
  elif command -v nvidia-smi > /dev/null; then echo '==> There is an NVIDIA driver, but Docker does not have its' \
  'runtime: on the CPU. docs/docker.md says how to add it'; else echo '==> No NVIDIA GPU: on the CPU'; fi

.supply/bin/pip-audit: pyproject.toml constraints.txt | .venv/.run
	@$(PY) -m venv --without-pip .supply
	@$(PY) -m pip --python .supply/bin/python install --quiet --constraint constraints.txt --group supply
	@touch $@

# Environments: .run is what demo needs, .loadtest adds locust, .dev what the checks need.
.venv/.run: pyproject.toml constraints.txt | .venv/bin/python
	@$(call task,Installing PyTorch$(,) ONNX Runtime and FastAPI into .venv,about a minute on a fast line,\
	  $(call install,setup export serve))
	@touch $@

.venv/.loadtest: .venv/.run
	@$(call task,Installing locust and what draws,seconds,$(call install,loadtest report))
	@touch $@

.venv/.dev: .venv/.run
	@$(call task,Installing the test tools,seconds,$(call install,dev))
	@touch $@

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "$(PYTHON) is not Python 3.11 or newer; name one: make demo PYTHON=/path/to/python3.12"; exit 1; }
	@$(call task,Making .venv,seconds,{ $(PYTHON) -m venv .venv \
	  && $(PY) -m pip install --quiet --disable-pip-version-check --constraint constraints.txt pip; } \
	  || { rm -rf .venv; echo 'That failed. On Debian and Ubuntu: apt install python3-venv'; exit 1; })

# Prometheus is for tests alone: the one on PATH, else Debian's package, downloaded and unpacked
# without root. The lists of packages are fetched anew: a container may have none, or old ones.
# promtool is a package of its own since Debian 13.
prometheus: $(if $(shell command -v prometheus > /dev/null && command -v promtool),,.prometheus/usr/bin/prometheus)

.prometheus/usr/bin/prometheus:
	@command -v apt-get > /dev/null && command -v dpkg > /dev/null || { echo "There is no prometheus and promtool" \
	  "on PATH, and no apt to get them with: install Prometheus 2.42 or newer (macOS: brew install prometheus)"; exit 1; }
	@$(call task,Getting Debian's Prometheus into .prometheus,half a minute,$(get-prometheus))

apt = apt-get -qq -o Dir::State::Lists="$$PWD/lists" -o Dir::Cache="$$PWD/cache" -o Debug::NoLocking=1 \
	-o APT::Sandbox::User="$$(id -un)"
get-prometheus = { rm -rf .prometheus && mkdir -p .prometheus/lists/partial .prometheus/cache/archives/partial \
	&& cd .prometheus && $(apt) update && $(apt) download prometheus \
	&& { $(apt) download promtool 2> /dev/null || true; } && for package in *.deb; do dpkg -x "$$package" .; done \
	&& test -x usr/bin/promtool && rm -rf lists cache *.deb && cd ..; } || { echo "apt did not give its package prometheus: install" \
	"Prometheus 2.42 or newer, so that prometheus and promtool are on PATH"; exit 1; }

, := ,
# pip's own lines, less those that nobody reads; its exit status counts.
install = $(PY) -m pip install --progress-bar off --constraint constraints.txt \
	$(foreach group,$(1),--group $(group)) \
	| { grep --line-buffered -E '^ *(Downloading|Using cached|Processing|Installing)' || true; } \
	| cut -c 1-100

.PHONY: demo serve train export test lint types fast test-slow test-monitoring prometheus test-web test-all test-interop test-processors fixtures accuracy dashboards dashboard-pictures web-pictures drawn fuzz fuzz-http swap chaos bench-fairness bench-web format loadtest capacity soak bench bench-peers bench-gpu up down images sbom audit test-docker constraints clean help
