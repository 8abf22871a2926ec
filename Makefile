# SPDX-License-Identifier: GPL-2.0-only
# sluice: `make` builds build/sluice without root, network or a BTF kernel; `make help` lists the rest.

O ?= build
STALL ?=
CC ?= gcc
CLANG ?= clang
BPFTOOL ?= bpftool
LLVM_STRIP ?= llvm-strip
PKG_CONFIG ?= pkg-config
ARCH := $(shell uname -m | sed 's/x86_64/x86/;s/aarch64/arm64/')

ifeq ($(V),1)
  Q =
  msg =
else
  Q = @
  msg = @printf '  %-9s %s\n' "$(1)" "$(patsubst $(O)/%,%,$(2))";
endif

WARN := -Wall -Wextra -Werror -Wshadow -Wtype-limits -Wimplicit-fallthrough -Wvla \
	-Wmissing-prototypes -Wstrict-prototypes
DEPS := libbpf yaml-0.1 jansson libmicrohttpd libpcre2-8 libcares liburing
CFLAGS ?= -O2 -g
ALL_CFLAGS = -std=gnu11 -D_GNU_SOURCE $(WARN) $(STALL) -fno-common -Iinclude -Iuser -I$(O)/gen \
	$(shell $(PKG_CONFIG) --cflags $(DEPS)) $(CFLAGS)
LIBS = $(shell $(PKG_CONFIG) --libs $(DEPS)) -lelf -lz -lm -pthread
SAN := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
TSAN := -O1 -g -fsanitize=thread

BPF_SYS := $(shell $(CLANG) -v -E - </dev/null 2>&1 | sed -n '/<...> search starts here:/,/End of search/{ s| \(/.*\)|-idirafter \1|p }')
BPF_CFLAGS := -std=gnu11 -g -O2 -target bpf -mcpu=v3 -D__TARGET_ARCH_$(ARCH) -Wall -Wextra -Werror \
	-Wno-unused-parameter $(STALL) -I. -Iinclude -Ibpf $(BPF_SYS)

# bpf/sluice.bpf.c includes the files of the data path.
BPF_OBJ := $(O)/bpf/sluice.bpf.o $(patsubst bpf/%.bpf.c,$(O)/bpf/%.bpf.o,$(wildcard bpf/selftest.bpf.c bpf/attach.bpf.c))
SKELS := $(patsubst $(O)/bpf/%.bpf.o,$(O)/gen/%.skel.h,$(BPF_OBJ))
USER_SRC := $(sort $(shell find user -name '*.c'))
USER_OBJ := $(USER_SRC:%.c=$(O)/%.o)

.PHONY: all help check clean install bench-origin tests-built tsan stalls
.DELETE_ON_ERROR:
.SECONDARY:

all: $(O)/sluice ## build build/sluice (default)

help: ## this list
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/\1\t\2/p' Makefile $(sort $(wildcard tests/*/tests.mk)) | expand -t 16

$(O)/sluice: $(USER_OBJ)
	$(call msg,LINK,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)

$(O)/%.o: %.c | $(SKELS)
	$(call msg,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

tsan: $(O)/tsan/sluice ## build build/tsan/sluice, which tells of data races (ThreadSanitizer)

$(O)/tsan/sluice: $(USER_SRC:%.c=$(O)/tsan/%.o)
	$(call msg,LINK-TSAN,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(TSAN) $(LDFLAGS) -o $@ $^ $(LIBS)

$(O)/tsan/%.o: %.c | $(SKELS)
	$(call msg,CC-TSAN,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(filter-out -O%,$(ALL_CFLAGS)) $(TSAN) -MMD -MP -c -o $@ $<

# STALLS= as "-DSL_STALL_ONE=1024 -DSL_STALL_US=8192": another rate and length; see include/sl_stall.h.
stalls: ## build build/stalls/sluice, whose threads and programs stand still at times
	$(Q)$(MAKE) --no-print-directory O=$(O)/stalls STALL="-DSL_STALL $(STALLS)" $(O)/stalls/sluice torture

$(O)/bpf/%.bpf.o: bpf/%.bpf.c
	$(call msg,BPF,$@)
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(BPF_CFLAGS) -MMD -MP -MT $@ -MF $@.d -c -o $@ $<

$(O)/gen/%.skel.h: $(O)/bpf/%.bpf.o
	$(call msg,SKEL,$@)
	@mkdir -p $(@D)
	$(Q)$(BPFTOOL) gen skeleton $< name $*_bpf > $@

# .incbin is no include to the compiler.
$(O)/user/demo/config.o $(O)/tsan/user/demo/config.o: user/demo/front-proxy.yaml

-include $(USER_OBJ:.o=.d) $(USER_SRC:%.c=$(O)/tsan/%.d) $(BPF_OBJ:%=%.d)
-include $(sort $(wildcard tests/*/tests.mk))

$(O)/scripts/origin: scripts/bench.d/origin.c
	$(call msg,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -o $@ $< -pthread

bench-origin: $(O)/scripts/origin # the server that scripts/bench measures against

tests-built: all # and all that the tests are made of: see tests/*/tests.mk

check: ## style: formatting, direction of includes, tables of the README
	$(Q)scripts/check.sh

clean: ## remove build/
	rm -rf $(O)

DESTDIR ?=
PREFIX ?= /usr/local
install: $(O)/sluice ## install to $(DESTDIR)$(PREFIX)/sbin
	install -D -m 755 $(O)/sluice $(DESTDIR)$(PREFIX)/sbin/sluice
