# SPDX-License-Identifier: GPL-2.0-only
# Fuzzers: every tests/fuzz/fuzz_NAME.c is a libFuzzer target. FUZZ_SECONDS each, from the seeds
# in FUZZ_SEEDS_NAME; an input that fails is kept in build/tests/fuzz.
.PHONY: fuzz

FUZZ_SECONDS ?= 20
FUZZ_SRC := $(sort $(wildcard tests/fuzz/fuzz_*.c))
FUZZ_BIN := $(FUZZ_SRC:%.c=$(O)/%)
FUZZ_SEEDS_config := tests/unit/config tests/e2e/config
FUZZ_SEEDS_head := tests/corpus/heads
FUZZ_SEEDS_body := tests/corpus/bodies
FUZZ_SEEDS_proxy := tests/corpus/proxy
FUZZ_LIB_proxy := $(filter-out %/supervisor.c %/listen.c %/reload.c %/remap.c %/names.c,$(wildcard user/daemon/*.c)) \
	$(wildcard user/balance/*.c user/config/*.c) user/util/regex.c user/util/parse.c user/util/suggest.c \
	user/util/names.c user/util/normal.c user/util/status.c user/util/json_escape.c \
	user/kernel/netns.c
FUZZ_CFLAGS_proxy := -Dclock_gettime=fuzz_clock_gettime
FUZZ_ARGS_proxy := -max_len=4096
FUZZ_LIB_config := $(wildcard user/config/*.c) user/util/parse.c user/util/suggest.c user/util/regex.c \
	user/util/names.c user/util/status.c user/util/json_escape.c
FUZZ_ARGS_config := -max_len=16384
FUZZ_ARGS_head := -max_len=4200
FUZZ_CFLAGS := -std=gnu11 -D_GNU_SOURCE -Iinclude -Iuser -g -O1 -fsanitize=fuzzer,address,undefined \
	-fno-sanitize-recover=undefined

fuzz: $(FUZZ_BIN) ## fuzzers, FUZZ_SECONDS each
	@passed=0; failed=0; \
	$(foreach b,$(FUZZ_BIN),mkdir -p $(b).corpus; echo "-- $(notdir $(b))"; \
	if $(b) -max_total_time=$(FUZZ_SECONDS) -timeout=10 -rss_limit_mb=1024 -verbosity=0 \
		-print_final_stats=1 -artifact_prefix=$(dir $(b)) $(FUZZ_ARGS_$(patsubst fuzz_%,%,$(notdir $(b)))) \
		$(b).corpus $(wildcard $(FUZZ_SEEDS_$(patsubst fuzz_%,%,$(notdir $(b))))); \
	then passed=$$((passed + 1)); else failed=$$((failed + 1)); fi;) \
	echo "$$passed passed, $$failed failed"; [ $$failed = 0 ]

.SECONDEXPANSION:
$(O)/tests/fuzz/fuzz_%: tests/fuzz/fuzz_%.c $$(FUZZ_LIB_%)
	$(call msg,FUZZ,$@)
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(FUZZ_CFLAGS) $(FUZZ_CFLAGS_$*) -MMD -MP -MF $@.d -o $@ $(filter %.c,$^) -lyaml -lpcre2-8 -lm

-include $(FUZZ_BIN:%=%.d)
