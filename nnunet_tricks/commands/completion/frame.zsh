# Tab completion of nnunet-tricks @VERSION@ for zsh, printed by 'nnunet-tricks completion zsh'.

@TABLES@
_nnunet_tricks_names() {
    local -a names
    names=(${(f)"$(nnunet-tricks completion --$1 "$2" 2>/dev/null)"})
    # A name can go on after an underscore, so no blank follows it; and it need not begin as it was typed.
    ((${#names})) && compadd -U -S '' -a names
}

_nnunet_tricks() {
    local i route= option= at=0 expected= word=${words[CURRENT]}
    local -a answer
    for ((i = 2; i < CURRENT; i++)); do
        if _nnunet_tricks_is_command "${route:+$route }${words[i]}"; then
            route="${route:+$route }${words[i]}" option=
        elif [[ ${words[i]} == -* ]]; then
            option=${words[i]} at=$i
        fi
    done
    if [[ $word == -*=* ]]; then
        option=${word%%=*} at=$((CURRENT - 1)) word=${word#*=}
        compset -P '*='
    fi
    if [[ -n $option && $word != -* ]]; then
        _nnunet_tricks_values "$route $option"
        expected=$answer[1]
        # A flag of one value has it already, unless it stands just before the cursor.
        [[ $expected == one* ]] && ((at != CURRENT - 1)) && expected=
    fi
    if [[ -z $expected && $word == -* ]]; then
        _nnunet_tricks_flags "$route"
        _describe -o flag answer
        return
    elif [[ -z $expected ]]; then
        _nnunet_tricks_subcommands "$route"
        if ((${#answer})); then
            _describe command answer
            return
        fi
        _nnunet_tricks_values "$route"
        expected=$answer[1]
    fi
    case "$expected" in
        (*' tricks' | *' trainers') _nnunet_tricks_names "${expected##* }" "$word" ;;
        (*' words '*) answer=(${=expected#* words }); compadd -a answer ;;
        (*' files') _files ;;
    esac
}

_nnunet_tricks_after_tr() {
    if [[ ${words[CURRENT - 1]} == -tr ]]; then
        _nnunet_tricks_names trainers "${words[CURRENT]}"
    else
        _files
    fi
}

if ! (($+functions[compdef])); then
    autoload -Uz compinit
    compinit
fi
compdef _nnunet_tricks nnunet-tricks
# -n: not where there is a completion of somebody else's.
compdef -n _nnunet_tricks_after_tr @NNUNET@
