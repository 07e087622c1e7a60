# Tab completion of nnunet-tricks @VERSION@ for fish, printed by 'nnunet-tricks completion fish'.

function __nnunet_tricks_names --argument-names kind
    nnunet-tricks completion --$kind (commandline -ct) 2>/dev/null
end

function __nnunet_tricks_at --argument-names wanted
    set -l route ''
    set -l typed (commandline -opc)
    for word in $typed[2..-1]
        set -l longer (string trim -- "$route $word")
        if contains -- $longer $__nnunet_tricks_commands
            set route $longer
        end
    end
    test "$route" = "$wanted"
end

function __nnunet_tricks_behind
    set -l flags (string match -- '-*' (commandline -opc))
    contains -- "$flags[-1]" $argv
end

complete -c nnunet-tricks -f
@TABLES@
for command in @NNUNET@
    complete -c $command -o tr -x -a '(__nnunet_tricks_names trainers)'
end
