# SPDX-License-Identifier: GPL-2.0-only
# End-to-end tests: real clients and backends in network namespaces. Root.
.PHONY: e2e

e2e: $(O)/sluice ## end-to-end tests in network namespaces (root); E2E='NAME...' selects
	SLUICE=$(abspath $(O)/sluice) tests/e2e/run $(E2E)
