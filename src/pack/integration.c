/* SPDX-License-Identifier: Apache-2.0 */
#include "pack/integration.h"

#include <string.h>

const struct kr_integration kr_integrations[] = {
    {"airflow", {"apache-airflow"}},
    {"anthropic", {"anthropic"}},
    {"aws", {"boto3"}},
    {"azure", {"azure-identity", "azure-storage-blob"}},
    {"catboost", {"catboost"}},
    {"deepchecks", {"deepchecks"}},
    {"docker", {NULL}},
    {"evidently", {"evidently"}},
    {"gcp", {"google-cloud-storage", "google-cloud-secret-manager"}},
    {"huggingface", {"huggingface_hub", "transformers", "datasets"}},
    {"kubernetes", {"kubernetes"}},
    {"langchain", {"langchain"}},
    {"lightgbm", {"lightgbm"}},
    {"llama_index", {"llama-index"}},
    {"mlflow", {"mlflow"}},
    {"neural_prophet", {"neuralprophet"}},
    {"numpy", {"numpy"}},
    {"openai", {"openai"}},
    {"pandas", {"pandas"}},
    {"pillow", {"pillow"}},
    {"polars", {"polars", "pyarrow"}},
    {"pycaret", {"pycaret"}},
    {"pytorch", {"torch"}},
    {"pytorch_lightning", {"pytorch-lightning"}},
    {"s3", {"s3fs"}},
    {"scipy", {"scipy"}},
    {"sklearn", {"scikit-learn"}},
    {"slack", {"slack-sdk"}},
    {"tensorflow", {"tensorflow"}},
    {"vllm", {"vllm"}},
    {"wandb", {"wandb"}},
    {"whylogs", {"whylogs"}},
    {"xgboost", {"xgboost"}},
};

const size_t kr_integration_count = KR_ARRAY_LEN(kr_integrations);

const struct kr_integration *kr_integration_find(const char *name)
{
    for (size_t i = 0; i < kr_integration_count; i++) {
        if (strcmp(kr_integrations[i].name, name) == 0)
            return &kr_integrations[i];
    }
    return NULL;
}
