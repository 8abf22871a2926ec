// SPDX-License-Identifier: GPL-2.0-only
/* front-proxy.yaml as it stands, between two labels. */
#include "demo/service.h"

__asm__(".section .rodata\n"
	".global sl_demo_config, sl_demo_config_end\n"
	"sl_demo_config:\n"
	".incbin \"user/demo/front-proxy.yaml\"\n"
	"sl_demo_config_end:\n"
	".byte 0\n"
	".previous\n");
