# SPDX-License-Identifier: GPL-2.0-only
# Fuzzers: every tests/fuzz/fuzz_NAME.c is a libFuzzer target. FUZZ_SECONDS each, from the seeds
# in FUZZ_SEEDS_NAME; an input that fails is kept in build/tests/fuzz.
.PHONY: fuzz

FUZZ_SECONDS ?= 20
FUZZ_SRC := $(sort $(wildcard tests/fuzz/fuzz_*.c))
FUZZ_BIN := $(FUZZ_SRC:%.c=$(O)/%)
FUZZ_RUN := $(FUZZ_SRC:tests/fuzz/fuzz_%.c=fuzz-%)
FUZZ_SEEDS_config := tests/unit/config tests/e2e/config
FUZZ_SEEDS_head := tests/corpus/heads
FUZZ_SEEDS_body := tests/corpus/bodies
FUZZ_SEEDS_proxy := tests/corpus/proxy
FUZZ_LIB_proxy := $(filter-out %/supervisor.c %/listen.c %/reload.c %/reload_apply.c %/reload_read.c %/remap.c %/names.c,$(wildcard user/daemon/*.c)) \
	$(wildcard user/balance/*.c user/config/*.c) user/util/regex.c user/util/parse.c user/util/suggest.c \
	user/util/names.c user/util/normal.c user/util/status.c user/util/json_escape.c \
	user/util/base64.c \
	user/kernel/netns.c
FUZZ_ARGS_proxy := -max_len=4096
FUZZ_LIB_config := $(wildcard user/config/*.c) user/util/parse.c user/util/suggest.c user/util/regex.c \
	user/util/names.c user/util/normal.c user/util/status.c user/util/json_escape.c user/util/base64.c
FUZZ_ARGS_config := -max_len=16384
FUZZ_ARGS_head := -max_len=4200
FUZZ_CFLAGS := -std=gnu11 -D_GNU_SOURCE -Iinclude -Iuser -g -O1 -fsanitize=fuzzer,address,undefined \
	-fno-sanitize-recover=undefined

.PHONY: $(FUZZ_RUN)
fuzz: $(FUZZ_RUN) ## fuzzers, FUZZ_SECONDS each; side by side with -j
$(FUZZ_RUN): fuzz-%: $(O)/tests/fuzz/fuzz_%
	@mkdir -p $<.corpus; echo "-- fuzz_$*"; \
	if $< -max_total_time=$(FUZZ_SECONDS) -timeout=10 -rss_limit_mb=1024 -verbosity=0 \
		-print_final_stats=1 -artifact_prefix=$(dir $<) $(FUZZ_ARGS_$*) \
		$<.corpus $(wildcard $(FUZZ_SEEDS_$*)); \
	then echo "1 passed, 0 failed"; else echo "0 passed, 1 failed"; exit 1; fi

tests-built: $(FUZZ_BIN)

# Objects: more than one fuzzer needs those of the config, and they are made side by side.
# The time of the daemon is the fuzzer's, and an exchange's turn is over soon.
$(O)/fuzz/user/daemon/%.o $(O)/fuzz/tests/fuzz/fuzz_proxy.o: FUZZ_CFLAGS += -Dclock_gettime=fuzz_clock_gettime -DTURN_ROUNDS=2

$(O)/fuzz/%.o: %.c
	$(call msg,CC-FUZZ,$@)
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(FUZZ_CFLAGS) -MMD -MP -c -o $@ $<

.SECONDEXPANSION:
$(FUZZ_BIN): $(O)/tests/fuzz/fuzz_%: $(O)/fuzz/tests/fuzz/fuzz_%.o $$(addprefix $(O)/fuzz/,$$(FUZZ_LIB_%:.c=.o))
	$(call msg,FUZZ,$@)
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(FUZZ_CFLAGS) -o $@ $^ -lyaml -lpcre2-8 -luring -lm -pthread

-include $(patsubst %.c,$(O)/fuzz/%.d,$(sort $(FUZZ_SRC) $(foreach f,$(FUZZ_SRC:tests/fuzz/fuzz_%.c=%),$(FUZZ_LIB_$(f)))))
