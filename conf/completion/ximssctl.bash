# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
# Completion for ximssctl(8), made by conf/completion/generate from ctl.tbl and options.tbl

_ximssctl()
{
    local tool=$1 cur=$2 prev=$3 typed="" next="" own="" verb first options rest i
    local conf=()
    local table='account add:NAME:--password-stdin --real-name
account list::
account passwd:NAME:--password-stdin
account remove:NAME:
session list::
session kick:ID:
session say:ID:
session say all:TEXT:
try:NAME:--password-stdin
status::
reload::
drain::--within
why-login:NAME:
unban::--account --address --all
log::
log set:LEVEL:--module --session --account --for
log reset::--module --session --account
upgrade::'
    COMPREPLY=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
        -c | --config)
            conf=(-c "${COMP_WORDS[i + 1]}")
            ((i++))
            ;;
        --within | --real-name | --module | --session | --account | --for | --address) ((i++)) ;;
        -*) ;;
        *) typed+="${COMP_WORDS[i]} " ;;
        esac
    done
    case $prev in
    -c | --config)
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        return
        ;;
    --within)
        return
        ;;
    --real-name)
        return
        ;;
    --module)
        return
        ;;
    --session)
        return
        ;;
    --account)
        return
        ;;
    --for)
        return
        ;;
    --address)
        return
        ;;
    esac
    while IFS=: read -r verb first options; do
        if [[ "$verb " == "$typed"?* ]]; then
            rest=${verb#"$typed"}
            next+=" ${rest%% *}"
        fi
        if [[ $typed == "$verb "* ]]; then
            own=$options
            if [[ $first == ID && $typed == "$verb " && $cur != -* ]]; then
                next+=" $("$tool" "${conf[@]}" session list 2>/dev/null | sed -n 's/^\([0-9]\{6\}\) .*/\1/p')"
            fi
        fi
    done <<< "$table"
    if [[ $cur == -* ]]; then
        next="-c --config --json -h --help -V --version $own"
    fi
    mapfile -t COMPREPLY < <(compgen -W "$next" -- "$cur" | sort -u)
}
complete -F _ximssctl ximssctl
