/* SPDX-License-Identifier: Apache-2.0 */
/* Defaults that the settings of a deployment and the options of kourou-serve share: a server that
 * is started by hand does what a deployed one does. As texts, which both tables want. */
#ifndef KR_BASE_SERVING_H
#define KR_BASE_SERVING_H

#define KR_DFLT_PORT            "8000"
#define KR_DFLT_WORKERS         "1"
#define KR_DFLT_THREADS         "40"
#define KR_DFLT_ISOLATION       "thread"
#define KR_DFLT_PROCESSES       "0" /* within 2 per processor */
#define KR_DFLT_REQUEST_TIMEOUT "300"
#define KR_DFLT_STARTUP_TIMEOUT "300"
#define KR_DFLT_STALL_TIMEOUT   "10"
#define KR_DFLT_QUEUE           "1024"
#define KR_DFLT_DOCS_PATH       "/docs"
#define KR_DFLT_REDOC_PATH      "/redoc"
#define KR_DFLT_INVOKE_PATH     "/invoke"
#define KR_DFLT_HEALTH_PATH     "/health"
#define KR_DFLT_INFO_PATH       "/info"
#define KR_DFLT_METRICS_PATH    "/metrics"

#endif
