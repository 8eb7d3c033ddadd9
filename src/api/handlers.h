/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The endpoints, one file per family. Each answers its call, now or later, exactly once. */

#include <stdbool.h>

struct call;

/* inference.c */
bool inference_check(struct call *c);
void inference_predict(struct call *c);
void inference_invocations(struct call *c);
void inference_invoke(struct call *c);
/* health.c */
void health_ping(struct call *c);
/* management.c */
void management_list(struct call *c);
void management_register(struct call *c);
void management_scale(struct call *c);
void management_set_default(struct call *c);
void management_unregister(struct call *c);
/* describe.c */
void management_describe(struct call *c);
/* scrape.c */
void scrape_metrics(struct call *c);
