/* SPDX-License-Identifier: Apache-2.0 */
/* The scripts that shells load. Each asks the program itself for candidates at every key press, so
 * they never go out of date. "@" is the program's name, unless it follows $, [ or (. */
#include "cli/complete.h"

#include <string.h>

#include "base/alloc.h"

/* Readline cuts words at '=' and ':', so whole words are put together from the line first. */
static const char bash[] =
    "# bash completion of @; load it with: source <( @ completion bash)\n"
    "_@_complete() {\n"
    "  local line=${COMP_LINE:0:COMP_POINT} words=() current candidate value IFS=$'\\n'\n"
    "  local -a candidates\n"
    "  local index=1 word\n"
    "  while (( index <= COMP_CWORD )); do\n"
    "    word=${COMP_WORDS[index]}\n"
    "    if (( ${#words[@]} > 0 )) && [[ $word == = || ${words[-1]} == --*= ]] &&\n"
    "       [[ $line == *\"${words[-1]}$word\"* ]]; then\n"
    "      words[-1]+=$word\n"
    "    else\n"
    "      words+=(\"$word\")\n"
    "    fi\n"
    "    (( index++ ))\n"
    "  done\n"
    "  current=${words[-1]:-}\n"
    "  COMPREPLY=()\n"
    "  mapfile -t candidates < <(\"${COMP_WORDS[0]}\" __complete -- \"${words[@]}\" 2>/dev/null)\n"
    "  for candidate in \"${candidates[@]}\"; do\n"
    "    case $candidate in\n"
    "      :files) mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -f -- \"${current#*=}\");\n"
    "              compopt -o filenames 2>/dev/null; continue ;;\n"
    "      :dirs) mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -d -- \"${current#*=}\");\n"
    "             compopt -o filenames 2>/dev/null; continue ;;\n"
    "    esac\n"
    "    value=${candidate%%$'\\t'*}\n"
    "    [[ $value == *= ]] && compopt -o nospace 2>/dev/null\n"
    "    if [[ $current == --*=* && $COMP_WORDBREAKS == *=* ]]; then value=${value#*=}; fi\n"
    "    printf -v value '%q' \"$value\"\n"
    "    COMPREPLY+=(\"$value\")\n"
    "  done\n"
    "}\n"
    "complete -F _@_complete @\n";

static const char zsh[] =
    "#compdef @\n"
    "# zsh completion of @; load it with: source <( @ completion zsh)\n"
    "_@_complete() {\n"
    "  local -a lines described open\n"
    "  local line word help\n"
    "  lines=(\"${(@f)$(\"${words[1]}\" __complete -- \"${(@)words[2,CURRENT]}\" 2>/dev/null)}\")\n"
    "  for line in $lines; do\n"
    "    case $line in\n"
    "      :files) compset -P '--*='; _files; continue ;;\n"
    "      :dirs) compset -P '--*='; _files -/; continue ;;\n"
    "    esac\n"
    "    word=${line%%$'\\t'*}\n"
    "    help=\n"
    "    [[ $line == *$'\\t'* ]] && help=${line#*$'\\t'}\n"
    "    word=${word//:/\\\\:}${help:+:$help}\n"
    "    if [[ ${line%%$'\\t'*} == *= ]]; then open+=(\"$word\"); else described+=(\"$word\"); fi\n"
    "  done\n"
    "  (( ${#described} )) && _describe -t values '@' described\n"
    "  (( ${#open} )) && _describe -t options '@' open -S ''\n"
    "}\n"
    "if [[ $funcstack[1] == _@ ]]; then\n"
    "  _@_complete \"$@\"\n"
    "else\n"
    "  (( $+functions[compdef] )) || { autoload -Uz compinit && compinit -u }\n"
    "  compdef _@_complete @\n"
    "fi\n";

static const char fish[] = "# fish completion of @; load it with: @ completion fish | source\n"
                           "function __@_complete\n"
                           "    set -l words (commandline -opc) (commandline -ct)\n"
                           "    set -l current (commandline -ct)\n"
                           "    for line in ($words[1] __complete -- $words[2..-1] 2>/dev/null)\n"
                           "        switch $line\n"
                           "            case ':files'\n"
                           "                __fish_complete_path $current\n"
                           "            case ':dirs'\n"
                           "                __fish_complete_directories $current\n"
                           "            case '*'\n"
                           "                echo $line\n"
                           "        end\n"
                           "    end\n"
                           "end\n"
                           "complete -c @ -f -a '(__@_complete)'\n";

char *kr_complete_script(const char *shell, const char *prog)
{
    const char *script = strcmp(shell, "bash") == 0   ? bash
                         : strcmp(shell, "zsh") == 0  ? zsh
                         : strcmp(shell, "fish") == 0 ? fish
                                                      : NULL;
    kr_auto_buf struct kr_buf out = KR_BUF_INIT(65536);

    if (script == NULL)
        return NULL;
    for (const char *c = script; *c != '\0'; c++) {
        /* "@" is the name, except in the shells' own "$@" and "[@]" and "(@" */
        bool own = *c == '@' && c > script && (c[-1] == '$' || c[-1] == '[' || c[-1] == '(');

        if (*c == '@' && !own)
            kr_buf_adds(&out, prog);
        else
            kr_buf_addc(&out, *c);
    }
    return kr_buf_steal(&out);
}
