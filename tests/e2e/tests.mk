# SPDX-License-Identifier: GPL-2.0-only
# End-to-end tests: real clients and backends in network namespaces. Root.
.PHONY: e2e torture

QUEUES := $(O)/tests/e2e/queues/queues

TORTURE_BIN := $(O)/tests/e2e/torture/client $(O)/tests/e2e/torture/backend
FAILING := $(O)/tests/e2e/torture/failing.so
TORTURE_client := client ways answer ask wire
TORTURE_backend := backend ask wire

e2e: $(O)/sluice torture ## end-to-end tests in network namespaces (root); E2E='NAME...' selects
	SLUICE=$(abspath $(O)/sluice) tests/e2e/run $(E2E)

torture: $(TORTURE_BIN) $(FAILING) $(QUEUES)

tests-built: torture

$(QUEUES).bpf.o: tests/e2e/queues/queues.bpf.c
	$(call msg,BPF,$@)
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(BPF_CFLAGS) -MMD -MP -MT $@ -MF $@.d -c -o $@ $<

$(O)/gen/queues.skel.h: $(QUEUES).bpf.o
	$(call msg,SKEL,$@)
	@mkdir -p $(@D)
	$(Q)$(BPFTOOL) gen skeleton $< name queues_bpf > $@

$(QUEUES): tests/e2e/queues/main.c $(O)/gen/queues.skel.h
	$(call msg,LINK,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $< $(LIBS)

$(O)/tests/e2e/torture/%.o: tests/e2e/torture/%.c
	$(call msg,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

$(FAILING): tests/e2e/torture/failing.c
	$(call msg,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -shared -fPIC $(LDFLAGS) -o $@ $< -ldl

.SECONDEXPANSION:
$(TORTURE_BIN): $$(patsubst %,$(O)/tests/e2e/torture/%.o,$$(TORTURE_$$(@F)))
	$(call msg,LINK,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ -lz -lpthread

-include $(wildcard $(O)/tests/e2e/torture/*.d $(O)/tests/e2e/queues/*.d)
