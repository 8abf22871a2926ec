# SPDX-License-Identifier: GPL-2.0-only
# Unit tests: every tests/unit/test_NAME.c is a program, built with ASan and UBSan, that
# ends with `N passed, N failed`. They link with what they need of the code that talks to
# neither the kernel nor the network.
.PHONY: unit

UNIT_SRC := $(sort $(wildcard tests/unit/test_*.c))
UNIT_BIN := $(UNIT_SRC:%.c=$(O)/%)
UNIT_RUN := $(UNIT_SRC:tests/unit/test_%.c=unit-%)
UNIT_LIB := $(wildcard user/config/*.c user/util/*.c user/balance/*.c tests/lib/*.c) \
	user/cmd/explain_why.c user/cmd/explain_cohort.c user/cmd/explain_facts.c \
	user/cmd/conserve.c user/cmd/stats_read.c user/attach/target.c user/attach/owners.c \
	user/attach/generate.c
UNIT_LIB_OBJ := $(UNIT_LIB:%.c=$(O)/san/%.o)
UNIT_CFLAGS = $(filter-out -O%,$(ALL_CFLAGS)) $(SAN) -Itests/lib

.PHONY: $(UNIT_RUN)
unit: $(UNIT_RUN) ## unit tests
$(UNIT_RUN): unit-%: $(O)/tests/unit/test_%
	@echo "-- test_$*"; $<

tests-built: $(UNIT_BIN)

$(O)/san/%.o: %.c
	$(call msg,CC-SAN,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(UNIT_CFLAGS) -MMD -MP -c -o $@ $<

$(O)/san/libsluice.a: $(UNIT_LIB_OBJ)
	$(Q)rm -f $@
	$(Q)$(AR) crs $@ $^

$(O)/tests/unit/%: tests/unit/%.c $(O)/san/libsluice.a
	$(call msg,LINK-SAN,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(UNIT_CFLAGS) -MMD -MP -MF $@.d -o $@ $< $(O)/san/libsluice.a -lcunit -lyaml -ljansson -lpcre2-8 -lm

-include $(UNIT_LIB_OBJ:.o=.d) $(UNIT_BIN:%=%.d)
