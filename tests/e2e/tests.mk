# SPDX-License-Identifier: GPL-2.0-only
# End-to-end tests: real clients and backends in network namespaces. Root.
.PHONY: e2e torture

TORTURE_BIN := $(O)/tests/e2e/torture/client $(O)/tests/e2e/torture/backend
TORTURE_client := client ways answer ask wire
TORTURE_backend := backend ask wire

e2e: $(O)/sluice torture ## end-to-end tests in network namespaces (root); E2E='NAME...' selects
	SLUICE=$(abspath $(O)/sluice) tests/e2e/run $(E2E)

torture: $(TORTURE_BIN)

$(O)/tests/e2e/torture/%.o: tests/e2e/torture/%.c
	$(call msg,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

.SECONDEXPANSION:
$(TORTURE_BIN): $$(patsubst %,$(O)/tests/e2e/torture/%.o,$$(TORTURE_$$(@F)))
	$(call msg,LINK,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ -lz -lpthread

-include $(wildcard $(O)/tests/e2e/torture/*.d)
