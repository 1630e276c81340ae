/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/check.h"

#include "base/alloc.h"

#include <stdio.h>
#include <string.h>

#define PARALLEL 8

static int one_byte_is_enough(void *data, const void *bytes, size_t n, struct kr_err *err)
{
    (void)data;
    (void)bytes;
    (void)n;
    (void)err;
    return 1;
}

struct probes {
    struct kr_http_job *jobs;
    char **urls;
    size_t n;
};

static void probes_finish(struct probes *p)
{
    for (size_t i = 0; i < p->n; i++) {
        kr_http_response_finish(&p->jobs[i].res);
        free(p->urls[i]);
    }
    free(p->jobs);
    free(p->urls);
}

/* Passing faults of a probe are tried again alone, with the client's patience. */
static int settle(struct kr_repo *repo, struct kr_http_job *job, const char *what,
                  struct kr_err *err)
{
    if (job->rc == 0 && (job->res.status == 200 || job->res.status == 206))
        return 0;
    kr_http_response_finish(&job->res);
    if (kr_repo_call(repo, &job->req, &job->res, err) < 0)
        return kr_wrap(err, "%s", what);
    if (job->res.status != 200 && job->res.status != 206)
        return kr_repo_fail(repo, &job->res, what, err);
    return 0;
}

static int probe_layers(struct kr_repo *repo, const json_t *layers, struct kr_err *err)
{
    static const char *const first[] = {"Range: bytes=0-0", NULL};
    size_t n = json_array_size(layers);
    kr_auto(probes_finish) struct probes p = {kr_calloc(n + 1, sizeof(struct kr_http_job)),
                                              kr_calloc(n + 1, sizeof(char *)), n};

    for (size_t i = 0; i < n; i++) {
        const char *digest = kr_json_str(json_array_get(layers, i), "digest", "");
        kr_auto_free char *rest = kr_asprintf("blobs/%s", digest);

        p.urls[i] = kr_repo_url(repo, rest);
        p.jobs[i].req = (struct kr_http_request){
            .method = "GET", .url = p.urls[i], .headers = first, .on_data = one_byte_is_enough};
        kr_repo_authorize(repo, &p.jobs[i].req);
    }
    kr_http_many(kr_repo_http(repo), p.jobs, n, PARALLEL, 0);
    for (size_t i = 0; i < n; i++) {
        const char *digest = kr_json_str(json_array_get(layers, i), "digest", "");
        kr_auto_free char *what =
            kr_asprintf("layer %.19s of %s/%s", digest, kr_repo_registry(repo), kr_repo_name(repo));

        if (settle(repo, &p.jobs[i], what, err) < 0)
            return -(int)err->code;
    }
    return 0;
}

int kr_image_check_public(struct kr_http *http, const char *image, const struct kr_repo_auth *way,
                          char digest[KR_DIGEST_SIZE], struct kr_err *err)
{
    struct kr_repo_auth stranger = {.anonymous = true,
                                    .plain_http = way != NULL && way->plain_http,
                                    .ca_file = way != NULL ? way->ca_file : NULL};
    kr_auto_ref struct kr_ref ref = KR_REF_INIT;
    kr_auto_repo struct kr_repo *repo = NULL;
    kr_auto_image struct kr_image got = {0};

    if (kr_ref_parse(image, &ref, err) < 0 ||
        kr_repo_open(http, &ref, &stranger, false, NULL, &repo, err) < 0)
        return -(int)err->code;
    if (kr_image_get(repo, kr_ref_what(&ref), &got, err) < 0 ||
        probe_layers(repo, json_object_get(got.manifest, "layers"), err) < 0)
        return err->code == KR_E_AUTH || err->code == KR_E_NOT_FOUND
                   ? kr_wrap(err, "image '%s' cannot be pulled without credentials", image)
                   : -(int)err->code;
    (void)snprintf(digest, KR_DIGEST_SIZE, "%s", got.digest);
    return 0;
}

int kr_registry_check(struct kr_http *http, const char *registry, const struct kr_repo_auth *auth,
                      struct kr_err *err)
{
    kr_auto_response struct kr_http_response res = KR_HTTP_RESPONSE_INIT;
    kr_auto_free char *text = kr_asprintf("%s/kourou", registry), *probe = NULL, *url = NULL;
    kr_auto_ref struct kr_ref ref = KR_REF_INIT;
    kr_auto_repo struct kr_repo *repo = NULL;
    struct kr_http_request req = {.method = "GET"};
    kr_auto_free char *what = kr_asprintf("registry %s", registry);

    if (kr_ref_parse(text, &ref, err) < 0 ||
        kr_repo_open(http, &ref, auth, false, NULL, &repo, err) < 0)
        return -(int)err->code;
    probe = kr_repo_url(repo, "");
    *strstr(probe, "/v2/") = '\0';
    url = kr_asprintf("%s/v2/", probe);
    req.url = url;
    if (kr_repo_call(repo, &req, &res, err) < 0)
        return -(int)err->code;
    return res.status == 200 ? 0 : kr_repo_fail(repo, &res, what, err);
}
