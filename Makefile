# pgvigil. GNU make, one make for the whole tree.
#
#   make              the programs, built with what this machine has
#   make install      PREFIX=/usr/local DESTDIR=
#   make check        everything that a change must pass
#   make unit         what answers in seconds; ALL=1: all of it
#   make fuzz SECONDS=n [FUZZ=name]   every harness of tests/fuzz for so long (120)
#   make sim SEEDS=n | mutations [QUICK=1] | lint | format | coverage | integration CASE=name | soak | cross | bench
#   make demo         a cluster to look at and to break; make demo-down ends it
#   make images       the images that the chart runs; make push REGISTRY=host/folder
#   make kube-check CASE=name | bench-kube | kube-up | kube-down   a real Kubernetes: tests/kube
#
# The targets below `install` run in the dev container (Debian 13, the
# Dockerfile's stage `dev`), which is made when it is missing. PGVIGIL_DEV=1 says
# "this is it already": so it is set there, and so may a Debian 13 with all of its
# packages be told.
#
# Variables: BUILD (directory), SANITIZE=address,undefined, WERROR=1, CC, V=1, CHECKS (of lint),
# PG=15 (integration: the main cases on Debian 12's PostgreSQL).

VERSION := 0.1.0

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules

# CROSS=aarch64-linux-gnu- compiles for another architecture with Debian's tools and libraries for it (tests/cross).
ifeq ($(origin CC),default)
CC := $(CROSS)gcc
endif
ifeq ($(origin AR),default)
AR := $(CROSS)ar
endif
STRIP := $(CROSS)strip
ifneq ($(CROSS),)
MUSL_CC := $(CC) -specs=/usr/lib/$(patsubst %-gnu-,%-musl,$(CROSS))/musl-gcc.specs
export PKG_CONFIG_LIBDIR := /usr/lib/$(CROSS:-=)/pkgconfig:/usr/share/pkgconfig
endif

Q := $(if $(V),,@)
empty :=
space := $(empty) $(empty)
comma := ,

# A variable that was given here is given in the dev container, too.
HANDED_ON := BUILD SANITIZE COVERAGE WERROR SEEDS QUICK SECONDS FUZZ CASE V CC NODE_IMAGE LANES CHECKS ALL PG REGISTRY
HANDED_ON := $(foreach v,$(HANDED_ON),$(if $(filter command environment,$(origin $(v))),'$(v)=$($(v))'))

BUILD   ?= build
PREFIX  ?= /usr/local
SEEDS   ?= 5000
SECONDS ?= 120
MUSL_CC ?= musl-gcc
# Empty where there is none.
CCACHE  := $(shell command -v ccache)

# What runs in the dev container.
INNER := check unit fuzz sim mutations lint format coverage integration soak cross bench demo demo-down images push node-image kube-check bench-kube manifests \
	kube-cluster-up kube-cluster-down dev-shell

# ---- which compiler, which flags --------------------------------------------------

# A directory of its own, so that neither build makes the other one stale.
ifneq ($(SANITIZE),)
override BUILD := $(BUILD)-$(subst $(comma),-,$(SANITIZE))
endif

ifneq ($(COVERAGE),)
override BUILD := $(BUILD)-coverage
endif

IS_CLANG := $(findstring clang,$(shell $(CC) --version 2>/dev/null))

WARNINGS := -Wall -Wextra
WARNINGS += -Wconversion          # LSNs and milliseconds must not be cut silently
WARNINGS += -Wshadow              # in one function a name means one thing
WARNINGS += -Wformat=2            # no format from a variable: logs and SQL carry foreign text
WARNINGS += -Wstrict-prototypes   # f() is not f(void)
WARNINGS += -Wmissing-prototypes  # what no header declares is static
WARNINGS += -Wvla                 # every buffer has a ceiling that can be read in the source
WARNINGS += -Wcast-qual           # const is what the pure part promises
WARNINGS += -Wwrite-strings       # literals are const
WARNINGS += -Wundef               # a mistyped macro is not zero
WARNINGS += -Wswitch-enum         # a new enum value must visit every switch
WARNINGS += -Wpointer-arith       # void has no size
WARNINGS += -Wno-missing-field-initializers # designated initialisers leave the rest zero on purpose
ifeq ($(IS_CLANG),)
WARNINGS += -Wduplicated-cond     # a chain of ifs that asks the same twice
WARNINGS += -Wduplicated-branches # both branches alike: one of them is wrong
WARNINGS += -Wlogical-op          # && where & was meant
endif
ifneq ($(WERROR),)
WARNINGS += -Werror
endif

# What the Dockerfile's stage dev installs to build the programs.
DEBIAN_PACKAGES := gcc make pkg-config musl-tools libuv1-dev libcurl4-openssl-dev libwebsockets-dev \
	libwebsockets-evlib-uv libjansson-dev libpq-dev libyaml-dev libssl-dev
PACKAGES := libuv libcurl libwebsockets jansson libpq yaml-0.1 openssl
# As system headers, so that the warnings are about our code.
PACKAGE_CFLAGS := $(patsubst -I%,-isystem%,$(shell pkg-config --cflags $(PACKAGES) 2>/dev/null))
PACKAGE_LIBS   := $(shell pkg-config --libs $(PACKAGES) 2>/dev/null)
CHECK_CFLAGS   := $(patsubst -I%,-isystem%,$(shell pkg-config --cflags check 2>/dev/null))
CHECK_LIBS      = $(shell pkg-config --libs check 2>/dev/null)

DEFINES  := -D_GNU_SOURCE -DPGVIGIL_VERSION='"$(VERSION)"'
INCLUDES := -Iinclude -I.
STANDARD := -std=gnu17
HARDEN   := -fstack-protector-strong -fPIE

OPTIMIZE := -O2 -g
ifeq ($(SANITIZE),)
HARDEN   += -D_FORTIFY_SOURCE=2
else
OPTIMIZE := -O1 -g -fno-omit-frame-pointer -fsanitize=$(SANITIZE) -fno-sanitize-recover=all
SANITIZE_LIBS := -fsanitize=$(SANITIZE) $(if $(IS_CLANG),,-static-libasan -static-libubsan)
endif

ifneq ($(COVERAGE),)
# Without assertions: their failing branch is one that no test should take.
OPTIMIZE := -O0 -g --coverage -DNDEBUG
HARDEN := -fPIE
SANITIZE_LIBS := --coverage
endif

COMPILE_FLAGS = $(STANDARD) $(OPTIMIZE) $(HARDEN) $(WARNINGS) $(DEFINES) $(INCLUDES) $(PACKAGE_CFLAGS) $(CFLAGS)
LINK_FLAGS    = -pie -Wl,-z,relro,-z,now -Wl,--as-needed $(SANITIZE_LIBS) $(LDFLAGS)

# ---- sources ----------------------------------------------------------------------

sources = $(sort $(shell find $(1) -name '*.c' 2>/dev/null))
objects = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))

LIB_SRC        := $(call sources,lib)
# The guard's own sources; guard_client*.c is the sidecar's end of the socket.
GUARD_SRC      := $(filter-out sidecar/guard/guard_client%,$(call sources,sidecar/guard))
GUARD_LIB_SRC  := $(filter-out sidecar/guard/main.c,$(GUARD_SRC))
SIDECAR_SRC    := $(filter-out $(GUARD_SRC),$(call sources,sidecar))
SIDECAR_LIB_SRC := $(filter-out sidecar/main.c,$(SIDECAR_SRC))
CONTROLLER_SRC := $(call sources,controller)
CONTROLLER_LIB_SRC := $(filter-out controller/main.c,$(CONTROLLER_SRC))
CTL_SRC        := $(call sources,ctl)
CTL_LIB_SRC    := $(filter-out ctl/main.c,$(CTL_SRC))
FAKE_SRC       := $(call sources,tests/fake)
SIM_SRC        := $(call sources,tests/sim)
SUPPORT_SRC    := $(call sources,tests/unit/support)
TEST_SRC       := $(filter %_test.c,$(call sources,tests/unit))
FUZZ_SRC       := $(call sources,tests/fuzz)

PROGRAM_SRC := $(LIB_SRC) $(GUARD_SRC) $(SIDECAR_SRC) $(CONTROLLER_SRC) $(CTL_SRC)
ALL_SRC     := $(PROGRAM_SRC) $(FAKE_SRC) $(SIM_SRC) $(SUPPORT_SRC) $(TEST_SRC) $(FUZZ_SRC)
ALL_OBJ     := $(call objects,$(ALL_SRC))

GUARD_OBJ := $(patsubst %.c,$(BUILD)/musl/%.o,$(GUARD_SRC))

LIBPGVIGIL := $(BUILD)/libpgvigil.a
LIBSIDECAR := $(BUILD)/libsidecar.a
LIBGUARD   := $(BUILD)/libguard.a
LIBCONTROLLER := $(BUILD)/libcontroller.a
LIBCTL     := $(BUILD)/libctl.a
LIBFAKE    := $(BUILD)/libfake.a
LIBSUPPORT := $(BUILD)/libsupport.a

# A program is built as soon as it has a main.
PROGRAMS := $(if $(wildcard sidecar/guard/main.c),$(BUILD)/pgvigil-guard) \
            $(if $(wildcard sidecar/main.c),$(BUILD)/pgvigil-sidecar) \
            $(if $(wildcard controller/main.c),$(BUILD)/pgvigil-controller) \
            $(if $(CTL_SRC),$(BUILD)/pgvigilctl)
PROGRAMS := $(strip $(PROGRAMS))

# Each harness twice: with its corpus, as one of the unit tests; and with libFuzzer.
FUZZ_NAMES := $(patsubst tests/fuzz/%_fuzz.c,%,$(filter %_fuzz.c,$(FUZZ_SRC)))
FUZZERS    := $(patsubst %,$(BUILD)/fuzz/%_fuzz,$(or $(FUZZ),$(FUZZ_NAMES)))
TESTS := $(patsubst tests/unit/%.c,$(BUILD)/unit/%,$(TEST_SRC)) $(patsubst %,$(BUILD)/unit/fuzz/%_fuzz,$(FUZZ_NAMES))

.PHONY: all guard libs objects unit-programs tidy install clean
all: $(PROGRAMS) $(LIBPGVIGIL) $(LIBSIDECAR)
guard: $(filter %/pgvigil-guard,$(PROGRAMS))
libs: $(LIBPGVIGIL) $(LIBSIDECAR) $(LIBGUARD) $(LIBFAKE)
# Every source compiled, nothing linked: what lint looks at.
objects: $(ALL_OBJ)
unit-programs: $(TESTS)
# clang-tidy on every source whose object is newer than its last look.
tidy: $(patsubst %.c,$(BUILD)/tidy/%.ok,$(ALL_SRC))

# ---- compile ----------------------------------------------------------------------

# What the objects were built with. Another compiler, Debian or flag (the dev
# container and its host share this directory) means: build again.
FLAGS_STAMP := $(BUILD)/flags
FLAGS_NOW = $(shell $(CC) --version 2>/dev/null | head -n 1) $(shell . /etc/os-release 2>/dev/null; echo $$PRETTY_NAME) $(COMPILE_FLAGS)

# Goals that run elsewhere compile nothing here.
COMPILES := $(if $(MAKECMDGOALS),$(filter-out clean $(if $(PGVIGIL_DEV),,$(INNER)),$(MAKECMDGOALS)),all)
ifneq ($(COMPILES),)
MISSING := $(shell for program in $(CC) $(firstword $(MUSL_CC)) pkg-config; do command -v $$program >/dev/null || echo $$program; done; \
	for package in $(PACKAGES); do pkg-config --exists $$package 2>/dev/null || echo $$package; done)
ifneq ($(MISSING),)
$(error not here: $(MISSING). On Debian 13: apt-get install $(DEBIAN_PACKAGES))
endif
ifneq ($(file <$(FLAGS_STAMP)),$(strip $(FLAGS_NOW)))
$(shell mkdir -p $(BUILD))
$(file >$(FLAGS_STAMP),$(strip $(FLAGS_NOW)))
endif
endif
$(FLAGS_STAMP): ;

$(BUILD)/obj/%.o: %.c $(FLAGS_STAMP)
	@mkdir -p $(@D)
	$(if $(V),,@echo '  CC      $<')
	$(Q)$(CCACHE) $(CC) $(COMPILE_FLAGS) $(OBJECT_CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/obj/tests/%.o: OBJECT_CFLAGS = $(CHECK_CFLAGS)

$(BUILD)/tidy/%.ok: %.c $(BUILD)/obj/%.o .clang-tidy
	@mkdir -p $(@D)
	$(if $(V),,@echo '  TIDY    $<')
	$(Q)clang-tidy --quiet $< -- $(COMPILE_FLAGS) $(CHECK_CFLAGS) 2>/dev/null
	@touch $@

%.a:
	@mkdir -p $(@D)
	$(if $(V),,@echo '  AR      $@')
	$(Q)rm -f $@ && $(AR) rcsD $@ $^

$(LIBPGVIGIL): $(call objects,$(LIB_SRC))
$(LIBSIDECAR): $(call objects,$(SIDECAR_LIB_SRC))
$(LIBGUARD): $(call objects,$(GUARD_LIB_SRC))
$(LIBCONTROLLER): $(call objects,$(CONTROLLER_LIB_SRC))
$(LIBCTL): $(call objects,$(CTL_LIB_SRC))
$(LIBFAKE): $(call objects,$(FAKE_SRC))
$(LIBSUPPORT): $(call objects,$(SUPPORT_SRC))

define LINK
@mkdir -p $(@D)
$(if $(V),,@echo '  LINK    $@')
$(Q)$(CC) $(LINK_FLAGS) -o $@ $(filter %.o,$^) -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(1) $(PACKAGE_LIBS)
endef

$(BUILD)/pgvigil-sidecar: $(call objects,$(wildcard sidecar/main.c)) $(LIBSIDECAR) $(LIBPGVIGIL)
	$(call LINK)

$(BUILD)/pgvigil-controller: $(call objects,$(wildcard controller/main.c)) $(LIBCONTROLLER) $(LIBPGVIGIL)
	$(call LINK)

$(BUILD)/pgvigilctl: $(call objects,$(CTL_SRC)) $(LIBPGVIGIL)
	$(call LINK)

$(BUILD)/pgvigil-sim: $(call objects,$(SIM_SRC)) $(LIBFAKE) $(LIBSIDECAR) $(LIBGUARD) $(LIBPGVIGIL)
	$(call LINK)

$(BUILD)/unit/%: $(BUILD)/obj/tests/unit/%.o $(LIBSUPPORT) $(LIBFAKE) $(LIBSIDECAR) $(LIBCONTROLLER) $(LIBCTL) $(LIBGUARD) $(LIBPGVIGIL)
	$(call LINK,$(CHECK_LIBS))

# A harness stands in for parts of the libraries: it comes first.
FUZZ_LIBS := $(LIBSUPPORT) $(LIBFAKE) $(LIBSIDECAR) $(LIBGUARD) $(LIBPGVIGIL)
$(BUILD)/unit/fuzz/%_fuzz: $(BUILD)/obj/tests/fuzz/%_fuzz.o $(BUILD)/obj/tests/fuzz/replay.o $(FUZZ_LIBS)
	$(call LINK)

$(BUILD)/fuzz/%_fuzz: $(BUILD)/obj/tests/fuzz/%_fuzz.o $(FUZZ_LIBS)
	$(call LINK,-fsanitize=fuzzer)

# ---- the guard: static, against musl, so that it runs in any image -----------------

# musl-gcc sees musl's headers only; the kernel's are put in by name, glibc's stay out.
KERNEL_HEADERS := $(BUILD)/musl/kernel
MULTIARCH := $(shell $(CC) -print-multiarch 2>/dev/null)
GUARD_FLAGS = $(STANDARD) -Os -g -fstack-protector-strong -ffunction-sections -fdata-sections \
	$(filter-out -Wlogical-op,$(WARNINGS)) $(DEFINES) $(INCLUDES) -isystem $(KERNEL_HEADERS)

$(KERNEL_HEADERS)/.done:
	@mkdir -p $(@D)
	@ln -sfn /usr/include/linux $(@D)/linux
	@ln -sfn /usr/include/asm-generic $(@D)/asm-generic
	@for d in /usr/include/$(MULTIARCH)/asm /usr/include/asm; do [ -d $$d ] && ln -sfn $$d $(@D)/asm && break; done
	@touch $@

$(BUILD)/musl/%.o: %.c $(FLAGS_STAMP) | $(KERNEL_HEADERS)/.done
	@mkdir -p $(@D)
	$(if $(V),,@echo '  MUSL    $<')
	$(Q)$(CCACHE) $(MUSL_CC) $(GUARD_FLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/pgvigil-guard: $(GUARD_OBJ)
	@mkdir -p $(@D)
	$(if $(V),,@echo '  LINK    $@')
	$(Q)$(MUSL_CC) -static -Wl,--gc-sections -o $(BUILD)/musl/pgvigil-guard.debug $^
	$(Q)$(STRIP) -o $@ $(BUILD)/musl/pgvigil-guard.debug

-include $(ALL_OBJ:.o=.d) $(GUARD_OBJ:.o=.d)

# ---- install ----------------------------------------------------------------------

UNITS := $(wildcard deploy/systemd/*.service)

install: $(PROGRAMS)
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/lib/systemd/system
	install -m 0755 $(PROGRAMS) $(DESTDIR)$(PREFIX)/bin/
	for unit in $(UNITS); do \
		sed 's|/usr/local/bin/|$(PREFIX)/bin/|g' $$unit >$(DESTDIR)$(PREFIX)/lib/systemd/system/$${unit##*/} && \
		chmod 0644 $(DESTDIR)$(PREFIX)/lib/systemd/system/$${unit##*/} || exit 1; \
	done

clean:
	rm -rf $(BUILD) $(BUILD)-*

# ---- what runs in the dev container ------------------------------------------------

.PHONY: $(INNER) kube-up kube-down kube-programs kube-programs-here kube-helm

# Built on this machine where it can be: it knows the way to the module proxy, the dev container may not.
kube-programs:
	@tests/kube/build
kube-helm:
	@tests/kube/build helm
# Where they cannot be built that is a stage of `check` that fails, and no reason to run none.
kube-programs-here:
	@tests/kube/build || true
kube-check bench-kube kube-cluster-up: kube-programs
manifests: kube-helm
kube-up: kube-cluster-up
kube-down: kube-cluster-down

ifneq ($(PGVIGIL_DEV),1)

check: kube-programs-here
$(filter-out dev-shell,$(INNER)):
	@deploy/setup/dev.sh make --no-print-directory $(if $(filter -j%,$(MAKEFLAGS)),,-j$$(nproc)) $(HANDED_ON) $@

dev-shell:
	@deploy/setup/dev.sh bash

else

unit: $(TESTS)
	@$(if $(SANITIZE),CK_FORK=no) $(if $(ALL),,CK_EXCLUDE_TAGS=slow) tests/unit.sh $(BUILD) $(TESTS)

# libFuzzer comes with clang; its objects have a directory of their own.
ifeq ($(findstring fuzzer,$(SANITIZE)),)
fuzz:
	@$(MAKE) --no-print-directory CC=clang SANITIZE=fuzzer-no-link,address,undefined BUILD=$(BUILD) fuzz
else
fuzz: $(FUZZERS)
	@tests/fuzz/run $(SECONDS) $(FUZZERS)
endif

sim: $(BUILD)/pgvigil-sim
	$(BUILD)/pgvigil-sim --seeds $(SEEDS)

# Deliberate breaches of the rules, each caught by its invariant; one that nobody catches fails. QUICK=1:
# one that its known seed does not catch any more (the tree has changed) is soon given up.
mutations: $(BUILD)/pgvigil-sim
	$(BUILD)/pgvigil-sim $(if $(QUICK),--quick-mutations,--mutations)

lint:
	@tests/lint/run $(CHECKS)

format:
	clang-format -i $(shell find include lib sidecar controller ctl tests -name '*.[ch]' 2>/dev/null)

# Branches of the pure part that unit tests and simulation take.
ifeq ($(COVERAGE),)
coverage:
	@$(MAKE) --no-print-directory COVERAGE=1 BUILD=$(BUILD) coverage
else
coverage: $(TESTS) $(if $(SIM_SRC),$(BUILD)/pgvigil-sim)
	@find $(BUILD) -name '*.gcda' -delete
	@tests/unit.sh $(BUILD) $(TESTS)
	@$(if $(SIM_SRC),$(BUILD)/pgvigil-sim --seeds $(SEEDS))
	@tests/coverage.py $(BUILD)
endif

check:
	@tests/check.sh

integration: node-image
	NODE_IMAGE=$(NODE_IMAGE) PG=$(PG) tests/integration/run $(CASE)

soak: node-image
	NODE_IMAGE=$(NODE_IMAGE) PG=$(PG) tests/integration/run --soak $(CASE)

cross:
	tests/cross/run

bench: node-image
	tests/bench/run

demo: node-image
	@deploy/demo/demo.sh

demo-down:
	@deploy/demo/demo.sh down

# The image of one node for demo and tests: what was just built here, put on top of
# the stage node-base. The stage `node` is the same for those who have no make.
NODE_IMAGE ?= pgvigil/node$(if $(NODE_TAG),:$(NODE_TAG))
NODE_TAG := $(subst $(space),-,$(strip $(subst $(comma),-,$(SANITIZE)) $(if $(filter-out 17,$(PG)),pg$(PG))))
node-image: all
	@PG=$(PG) deploy/setup/images.sh node-base
	@deploy/setup/program_image.sh pgvigil/node-base$(if $(filter-out 17,$(PG)),:pg$(PG)) $(NODE_IMAGE) '' $(PROGRAMS)

# What the chart runs, tagged with the version. The Dockerfile's stages of these names are the same for those who
# have no make. PostgreSQL is not ours: pgvigil/postgres stands in for the official image where no registry answers.
CONTROLLER := $(filter %/pgvigil-controller,$(PROGRAMS))
IMAGES := sidecar etcd $(if $(CONTROLLER),controller)
images: all
	@deploy/setup/images.sh postgres etcd runtime
	@docker tag pgvigil/etcd pgvigil/etcd:$(VERSION)
	@deploy/setup/program_image.sh pgvigil/runtime pgvigil/sidecar:$(VERSION) \
		'USER postgres\nEXPOSE 8008\nENTRYPOINT ["pgvigil-sidecar"]\nCMD ["/etc/pgvigil/pgvigil.yml"]' \
		$(filter-out %/pgvigil-controller,$(PROGRAMS))
	@$(if $(CONTROLLER),deploy/setup/program_image.sh pgvigil/runtime pgvigil/controller:$(VERSION) \
		'USER postgres\nEXPOSE 8008\nENTRYPOINT ["pgvigil-controller"]' $(CONTROLLER))

# push REGISTRY=registry.example.org/team
push: images
	@test -n '$(REGISTRY)' || { echo 'make push REGISTRY=<host>/<folder>: where to?' >&2; exit 1; }
	@for image in $(IMAGES); do \
		docker tag pgvigil/$$image:$(VERSION) $(REGISTRY)/$$image:$(VERSION) && \
		docker push $(REGISTRY)/$$image:$(VERSION) || exit 1; \
	done

# The Kubernetes of the tests; its programs are built on this machine, outside the dev container, where it has Go.
kube-check: images
	tests/kube/run $(CASE)
bench-kube: images
	tests/kube/bench
manifests:
	@cp deploy/prometheus/pgvigil.rules.yml charts/pgvigil/files/
	@echo '# The chart with its own values, release db in namespace default; made by `make manifests`.' >deploy/kubernetes/pgvigil.yaml
	@echo '---' >>deploy/kubernetes/pgvigil.yaml
	@$$(tests/kube/build --print helm)/helm template db charts/pgvigil --namespace default --skip-tests | \
		sed 1d >>deploy/kubernetes/pgvigil.yaml
kube-cluster-up:
	tests/kube/cluster up
kube-cluster-down:
	tests/kube/cluster down

dev-shell:
	@bash

endif
