# Tab completion of nnunet-tricks @VERSION@ for bash, printed by 'nnunet-tricks completion bash'.

@TABLES@
_nnunet_tricks_names() {
    # A name can go on after an underscore, so no blank follows it.
    compopt -o nospace 2>/dev/null
    COMPREPLY=($(nnunet-tricks completion "--$1" "$2" 2>/dev/null))
}

_nnunet_tricks() {
    local i word route= option= at=-1 expected=
    local -a words=() answer=()
    COMPREPLY=()
    # bash takes '--phase=word' for three words.
    for ((i = 1; i < COMP_CWORD; i++)); do
        [[ ${COMP_WORDS[i]} == = ]] || words+=("${COMP_WORDS[i]}")
    done
    word=${COMP_WORDS[COMP_CWORD]}
    [[ $word == = ]] && word=
    for ((i = 0; i < ${#words[@]}; i++)); do
        if _nnunet_tricks_is_command "${route:+$route }${words[i]}"; then
            route="${route:+$route }${words[i]}" option=
        elif [[ ${words[i]} == -* ]]; then
            option=${words[i]} at=$i
        fi
    done
    if [[ -n $option && $word != -* ]]; then
        _nnunet_tricks_values "$route $option"
        expected=${answer[0]-}
        # A flag of one value has it already, unless it stands just before the cursor.
        [[ $expected == one* ]] && ((at != ${#words[@]} - 1)) && expected=
    fi
    if [[ -z $expected && $word == -* ]]; then
        _nnunet_tricks_flags "$route"
        expected="many words ${answer[*]-}"
    elif [[ -z $expected ]]; then
        _nnunet_tricks_subcommands "$route"
        expected="many words ${answer[*]-}"
        if ((${#answer[@]} == 0)); then
            _nnunet_tricks_values "$route"
            expected=${answer[0]-}
        fi
    fi
    # Where nothing is set, bash completes names of files.
    case "$expected" in
        *' tricks' | *' trainers') _nnunet_tricks_names "${expected##* }" "$word" ;;
        *' words '*) COMPREPLY=($(compgen -W "${expected#* words }" -- "$word")) ;;
    esac
}

_nnunet_tricks_after_tr() {
    [[ ${COMP_WORDS[COMP_CWORD - 1]} == -tr ]] && _nnunet_tricks_names trainers "$2"
}

complete -o bashdefault -o default -F _nnunet_tricks nnunet-tricks
for _nnunet_tricks_command in @NNUNET@; do
    # Not where there is a completion of somebody else's.
    complete -p "$_nnunet_tricks_command" >/dev/null 2>&1 ||
        complete -o bashdefault -o default -F _nnunet_tricks_after_tr "$_nnunet_tricks_command"
done
unset _nnunet_tricks_command
