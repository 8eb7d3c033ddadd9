/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The endpoints, one file per family. Each answers its call, now or later, exactly once. */

#include <stdbool.h>
#include <yyjson.h>

#include "base/slice.h"

struct call;

/* inference.c */
bool inference_check(struct call *c);
void inference_predict(struct call *c);
void inference_invocations(struct call *c);
/* kserve.c */
bool kserve_v2_check(struct call *c);
bool kserve_check(struct call *c);
bool kserve_infer_check(struct call *c);
bool kserve_v2_infer_check(struct call *c);
void kserve_server(struct call *c);
void kserve_live(struct call *c);
void kserve_ready(struct call *c);
void kserve_model(struct call *c);
void kserve_model_ready(struct call *c);
void kserve_v1_list(struct call *c);
void kserve_v1_model(struct call *c);
/* health.c */
void health_ping(struct call *c);
void health_live(struct call *c);
void health_ready(struct call *c);
/* management.c */
void management_list(struct call *c);
void management_register(struct call *c);
void management_scale(struct call *c);
void management_set_default(struct call *c);
void management_unregister(struct call *c);
struct registering_view;
/* What is told of a model that is not there yet. */
void registering_put(yyjson_mut_doc *doc, yyjson_mut_val *o, const struct registering_view *v);
/* describe.c */
void management_describe(struct call *c);
/* openapi.c */
void openapi_listener(struct call *c);
void openapi_model(struct call *c, struct slice model);
void openapi_model_management(struct call *c);
/* page.c, page_calls.c: for browsers */
void page_show(struct call *c);
void page_calls(struct call *c);
/* console.c, console_figures.c, console_files.c: for the console in a browser */
/* Is the caller no browser, or the console's own page in one? False after a 403. */
bool console_check(struct call *c);
bool console_try_check(struct call *c);
void console_root(struct call *c);
void console_page(struct call *c);
void console_file(struct call *c);
void console_figures(struct call *c);
void console_logs(struct call *c);
void console_report(struct call *c);
/* scrape.c */
void scrape_metrics(struct call *c);
