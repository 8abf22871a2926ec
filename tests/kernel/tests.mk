# SPDX-License-Identifier: GPL-2.0-only
# Tests that need the kernel (root): every tests/kernel/test_NAME.c is a program that ends with
# `N passed, N failed`. They link with user/kernel/ alone; KERNEL_ARGS_test_NAME are its arguments.
.PHONY: kernel-tests

KERNEL_SRC := $(sort $(wildcard tests/kernel/test_*.c))
KERNEL_BIN := $(KERNEL_SRC:%.c=$(O)/%)
KERNEL_LIB_OBJ := $(patsubst %.c,$(O)/%.o,$(wildcard user/kernel/*.c))
KERNEL_SKELS := $(patsubst tests/kernel/%.bpf.c,$(O)/gen/%.skel.h,$(wildcard tests/kernel/*.bpf.c))
KERNEL_ARGS_test_load := tests/kernel/budget.txt

kernel-tests: $(KERNEL_BIN) ## tests in the running kernel (root)
	@status=0; $(foreach t,$(KERNEL_BIN),echo "-- $(notdir $(t))"; \
	$(t) $(KERNEL_ARGS_$(notdir $(t))) || status=1;) exit $$status

$(O)/tests/kernel/%.bpf.o: tests/kernel/%.bpf.c
	$(call msg,BPF,$@)
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(BPF_CFLAGS) -Itests/kernel -MMD -MP -MT $@ -MF $@.d -c -o $@ $<

$(KERNEL_SKELS): $(O)/gen/%.skel.h: $(O)/tests/kernel/%.bpf.o
	$(call msg,SKEL,$@)
	@mkdir -p $(@D)
	$(Q)$(BPFTOOL) gen skeleton $< name $*_bpf > $@

$(O)/tests/kernel/%: tests/kernel/%.c $(KERNEL_LIB_OBJ) | $(SKELS) $(KERNEL_SKELS)
	$(call msg,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -Itests/kernel -MMD -MP -MF $@.d -o $@ $< $(KERNEL_LIB_OBJ) $(LIBS)

-include $(KERNEL_BIN:%=%.d) $(KERNEL_SKELS:$(O)/gen/%.skel.h=$(O)/tests/kernel/%.bpf.o.d)
