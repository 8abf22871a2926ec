# SPDX-License-Identifier: GPL-2.0-only
# Tests in the kernel, as root: every tests/kernel/test_NAME.c is a program that is linked with all of
# sluice but its main() and ends with `N passed, N failed`; and the differential test of the core.
.PHONY: kernel-tests differential core-time

KT_SRC := $(sort $(wildcard tests/kernel/test_*.c))
KT_BIN := $(KT_SRC:%.c=$(O)/%)
KT_BPF := $(patsubst tests/kernel/%.c,$(O)/tests/kernel/%.o,$(wildcard tests/kernel/*.bpf.c))
KT_SKELS := $(KT_BPF:$(O)/tests/kernel/%.bpf.o=$(O)/gen/%.skel.h)
KT_ARGS_test_load := tests/kernel/budget.txt
KT_OBJ = $(filter-out $(O)/user/main.o,$(USER_OBJ))
DIFF := $(O)/tests/kernel/differential
DIFF_SRC := tests/kernel/differential.c tests/kernel/mutate.c tests/kernel/mutate_table.c \
	tests/lib/random_table.c user/config/index.c user/config/index_hash.c
DIFF_MESSAGES ?= 400000
DIFF_SEED ?=
# Heads of the kernel's size on both sides: they have to be the same to the byte.
DIFF_CFLAGS = $(ALL_CFLAGS) -DSL_HEAD_MAX=4096 -Itests/kernel -Itests/lib

kernel-tests: $(KT_BIN) $(DIFF) $(DIFF)-planted ## tests in the kernel (root)
	@status=0; \
	$(foreach b,$(KT_BIN),echo "-- $(notdir $(b))"; $(b) $(KT_ARGS_$(notdir $(b))) || status=1;) \
	echo "-- differential"; $(DIFF) tests/corpus/heads $(DIFF_MESSAGES) $(DIFF_SEED) || status=1; \
	echo "-- differential, planted fault"; $(DIFF)-planted tests/corpus/heads 100000 >$(DIFF).out; \
	[ $$? = 0 ] || status=1; tail -2 $(DIFF).out; exit $$status

tests-built: $(KT_BIN) $(DIFF) $(DIFF)-planted

differential: $(DIFF) ## the core in BPF against user space; DIFF_MESSAGES=N DIFF_SEED=N
	$(DIFF) tests/corpus/heads $(DIFF_MESSAGES) $(DIFF_SEED)

core-time: $(O)/tests/kernel/core_time ## nanoseconds of parse, match and pick in the kernel (root)
	$<

$(KT_BIN): $(O)/tests/kernel/%: tests/kernel/%.c $(KT_OBJ) | $(SKELS) $(KT_SKELS)
	$(call msg,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -Itests/kernel -MMD -MP -MF $@.d -o $@ $< $(KT_OBJ) $(LIBS)

$(KT_BPF): $(O)/tests/kernel/%.bpf.o: tests/kernel/%.bpf.c
	$(call msg,BPF,$@)
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(BPF_CFLAGS) -Ibpf -Itests/kernel -MMD -MP -MT $@ -MF $@.d -c -o $@ $<

$(KT_SKELS): $(O)/gen/%.skel.h: $(O)/tests/kernel/%.bpf.o
	$(call msg,SKEL,$@)
	@mkdir -p $(@D)
	$(Q)$(BPFTOOL) gen skeleton $< name $*_bpf > $@

$(DIFF): $(DIFF_SRC) tests/kernel/mutate.h $(O)/gen/core_test.skel.h
	$(call msg,LINK,$@)
	$(Q)$(CC) $(DIFF_CFLAGS) -MMD -MP -MF $@.d -o $@ $(filter %.c,$^) $(LIBS)

$(DIFF)-planted: $(DIFF_SRC) tests/kernel/mutate.h $(O)/gen/core_test.skel.h
	$(call msg,LINK,$@)
	$(Q)$(CC) $(DIFF_CFLAGS) -DSL_PLANTED -MMD -MP -MF $@.d -o $@ $(filter %.c,$^) $(LIBS)

$(O)/tests/kernel/core_time: tests/kernel/core_time.c user/config/index.c user/config/index_hash.c $(O)/gen/core_test.skel.h
	$(call msg,LINK,$@)
	$(Q)$(CC) $(DIFF_CFLAGS) -MMD -MP -MF $@.d -o $@ $(filter %.c,$^) $(LIBS)

-include $(KT_BIN:%=%.d) $(KT_BPF:%=%.d) $(DIFF).d $(DIFF)-planted.d
