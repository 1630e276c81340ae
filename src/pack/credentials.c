/* SPDX-License-Identifier: Apache-2.0 */
#include "pack/credentials.h"

#include "base/alloc.h"
#include "base/attrs.h"
#include "base/cleanup.h"
#include "pack/ignore.h"

#include <ctype.h>
#include <string.h>

/* Patterns in lower case. One without a slash is matched against the name, one with a slash against
 * the end of the path. */
static const char *const certain[] = {
    /* environments */
    ".env",
    ".env.*",
    "*.env",
    ".envrc",
    ".dev.vars",
    "local.settings.json",
    /* logins of programs that fetch and send */
    ".netrc",
    "_netrc",
    ".pypirc",
    ".npmrc",
    ".git-credentials",
    ".gitcookies",
    ".curlrc",
    ".wgetrc",
    ".ftpconfig",
    ".ftppass",
    "sftp-config.json",
    "ftpsync.settings",
    "sitemanager.xml",
    "recentservers.xml",
    ".remote-sync.json",
    ".msmtprc",
    ".fetchmailrc",
    ".mailrc",
    ".rhosts",
    ".gem/credentials",
    ".cargo/credentials*",
    ".composer/auth.json",
    "auth.json",
    ".m2/settings.xml",
    "settings-security.xml",
    ".config/hub",
    "gh/hosts.yml",
    ".config/doctl/config.yaml",
    ".netlify/config.json",
    "com.vercel.cli/auth.json",
    /* containers and clusters */
    ".dockercfg",
    ".docker/config.json",
    "docker-config.json",
    "dockerconfig.json",
    ".dockerconfigjson",
    "containers/auth.json",
    ".kube/config",
    "kubeconfig",
    "kubeconfig.*",
    "*.kubeconfig",
    "k3s.yaml",
    ".helm/repository/repositories.yaml",
    /* databases */
    ".pgpass",
    "pgpass.conf",
    ".my.cnf",
    ".mylogin.cnf",
    ".dbshell",
    ".snowsql/config",
    ".snowflake/connections.toml",
    ".databrickscfg",
    ".dbt/profiles.yml",
    ".rediscli_auth",
    /* clouds */
    "credentials",
    "credentials.json",
    "credentials.yaml",
    "credentials.yml",
    "credentials.ini",
    "credentials.toml",
    "credentials.csv",
    "credentials.xml",
    "credentials.db",
    "credentials.txt",
    "*-credentials.json",
    "*_credentials.json",
    "credentials.tfrc.json",
    "accesskeys.csv",
    "*_accesskeys.csv",
    "rootkey.csv",
    "client_secret*.json",
    "client-secret*.json",
    "service-account*.json",
    "service_account*.json",
    "serviceaccount*.json",
    "*-service-account.json",
    "*_service_account.json",
    "*-sa.json",
    "sa-key.json",
    "gcp-key*.json",
    "gcp_key*.json",
    "application_default_credentials.json",
    "adc.json",
    "access_tokens.db",
    "legacy_credentials",
    "*firebase-adminsdk*.json",
    "azureauth.json",
    "accesstokens.json",
    "msal_token_cache.*",
    "azureprofile.json",
    "*.publishsettings",
    ".boto",
    ".s3cfg",
    ".s3curl",
    "rclone.conf",
    ".passwd-s3fs",
    ".ossutilconfig",
    ".oci/config",
    ".bluemix/config.json",
    ".cdsapirc",
    ".ecmwfapirc",
    "kaggle.json",
    ".modal.toml",
    ".clasprc.json",
    ".trc",
    ".twurlrc",
    "secrets.toml",
    "secrets.json",
    "secrets.yaml",
    "secrets.yml",
    "secret.json",
    "secret.yaml",
    "secret.yml",
    "secrets.ini",
    ".secrets",
    ".secret",
    "secrets.txt",
    "secret.txt",
    ".vault-token",
    ".vault_pass*",
    ".vault-pass*",
    "vault_pass*",
    "vault-pass*",
    "terraform.tfstate*",
    "*.tfstate",
    "*.tfstate.*",
    "*.tfvars",
    "*.tfvars.json",
    ".terraformrc",
    "terraform.rc",
    ".pulumi/credentials.json",
    ".chef/*.pem",
    "knife.rb",
    /* passwords and tokens */
    ".htpasswd",
    ".htdigest",
    ".passwd",
    "passwd",
    "shadow",
    "password.txt",
    "passwords.txt",
    "token.txt",
    "tokens.txt",
    "token.json",
    "token.pickle",
    ".token",
    ".hf_token",
    "hf_token",
    "hf_token.txt",
    "huggingface/token",
    "huggingface/stored_tokens",
    "stored_tokens",
    "api_key.txt",
    "api_keys.txt",
    "apikey.txt",
    "apikeys.txt",
    "api-key.txt",
    "*.kdb",
    "*.kdbx",
    "*.keychain",
    "*.keychain-db",
    "*.psafe3",
    "*.agilekeychain",
    "logins.json",
    "key4.db",
    /* keys */
    "id_rsa*",
    "id_dsa*",
    "id_ecdsa*",
    "id_ed25519*",
    "id_xmss*",
    "*.ppk",
    "*.p12",
    "*.pfx",
    "*.pkcs12",
    "*.jks",
    "*.jceks",
    "*.bks",
    "*.keystore",
    "*.p8",
    "*.pk8",
    "*.agekey",
    "*.keytab",
    "secring.gpg",
    "secring.*",
    "*.pvk",
    "*.snk",
    "*.ovpn",
    "*.mobileprovision",
    /* what was typed */
    ".bash_history",
    ".zsh_history",
    ".sh_history",
    ".history",
    ".histfile",
    ".psql_history",
    ".mysql_history",
    ".rediscli_history",
    ".node_repl_history",
    ".python_history",
    ".irb_history",
    ".lesshst",
};

static const char *const unless_public[] = {"*.pem", "*.key", "*.asc", "*.gpg", "*.pgp"};

/* Settings that many keep in their repositories, and some with a password. */
static const char *const if_said[] = {
    "pip.conf",
    "pip.ini",
    ".yarnrc",
    ".yarnrc.yml",
    "gradle.properties",
    "nuget.config",
    ".condarc",
    ".gitconfig",
    ".hgrc",
    ".lftprc",
    "profiles.yml",
    "wp-config.php",
    "localsettings.php",
    "keys.txt",
    "wg*.conf",
    ".muttrc",
    ".docker/daemon.json",
    "tokens.json",
};

/* Patterns, and what is public beside them. */
static const char *const harmless[] = {
    "*.example",   "*.sample",      "*.template",   "*.tmpl",     "*.dist",
    "*.pub",       ".env.defaults", "*.example.*",  "*.sample.*", "*.template.*",
    "example.env", "sample.env",    "template.env",
};

static const char *const folders[] = {
    ".ssh",  ".aws", ".gnupg",          ".azure",    ".gcloud",  ".config/gcloud", ".oci",
    ".kube", ".env", ".password-store", ".ibmcloud", ".bluemix", ".snowsql",       ".vault.d",
};

/* The end of path that has as many parts as the pattern. */
static const char *tail_of(const char *path, const char *pattern)
{
    const char *p = path + strlen(path);

    for (const char *slash = strchr(pattern, '/');; slash = strchr(slash + 1, '/')) {
        while (p > path && p[-1] != '/')
            p--;
        if (slash == NULL || p == path)
            return p;
        p--;
    }
}

static bool is_in(const char *path, const char *const *patterns, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (kr_glob_match(patterns[i], tail_of(path, patterns[i])))
            return true;
    }
    return false;
}

static char *lower(const char *path)
{
    char *copy = kr_strdup(path);

    for (char *p = copy; *p != '\0'; p++)
        *p = (char)tolower((unsigned char)*p);
    return copy;
}

enum kr_credential kr_credential_file(const char *path)
{
    kr_auto_free char *low = lower(path);

    if (is_in(low, harmless, KR_ARRAY_LEN(harmless)))
        return KR_CREDENTIAL_NO;
    if (is_in(low, certain, KR_ARRAY_LEN(certain)))
        return KR_CREDENTIAL_YES;
    if (is_in(low, unless_public, KR_ARRAY_LEN(unless_public)))
        return KR_CREDENTIAL_UNLESS_PUBLIC;
    return is_in(low, if_said, KR_ARRAY_LEN(if_said)) ? KR_CREDENTIAL_IF_SAID : KR_CREDENTIAL_NO;
}

bool kr_credential_folder(const char *path)
{
    kr_auto_free char *low = lower(path);

    return is_in(low, folders, KR_ARRAY_LEN(folders));
}
