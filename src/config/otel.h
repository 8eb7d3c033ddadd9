/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * OpenTelemetry's own variables, which platforms set for all that they run, as values of our
 * settings for tracing. One that does not fit is told and left out: it is not this server that was
 * meant to fail for it.
 */

#include "config/settings.h"

/* Warnings go to `why`. */
void otel_load(struct settings *s, char *const *environment, struct buf *why);
