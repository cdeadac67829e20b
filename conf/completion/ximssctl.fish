# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
# Completion for ximssctl(8), made by conf/completion/generate from ctl.tbl and options.tbl

# The words of the verb typed so far, without options and their arguments.
function __ximssctl_typed
    set -l skip 0
    for word in (commandline -opc)[2..-1]
        if test $skip = 1
            set skip 0
        else if contains -- $word -c --config --within --real-name --module --session --account --for --address
            set skip 1
        else if not string match -q -- '-*' $word
            echo $word
        end
    end
end

function __ximssctl_at
    set -l typed (__ximssctl_typed)
    test "$typed" = "$argv"
end

function __ximssctl_in
    set -l typed (__ximssctl_typed)
    string match -q -- "$argv *" "$typed "
end

function __ximssctl_ids
    set -l words (commandline -opc)
    set -l conf
    for i in (seq (count $words))
        if contains -- $words[$i] -c --config
            set conf -c $words[(math $i + 1)]
        end
    end
    command $words[1] $conf session list 2>/dev/null | sed -n 's/^\([0-9]\{6\}\) .*/\1/p'
end

complete -c ximssctl -f
complete -c ximssctl -s c -l config -r -F -d 'the server\'s configuration; default /etc/ximssd/ximssd.conf'
complete -c ximssctl -l json -d 'print the answer as one JSON object'
complete -c ximssctl -s h -l help -d 'print verbs and options'
complete -c ximssctl -s V -l version -d 'print the version'
complete -c ximssctl -n '__ximssctl_at ' -a account
complete -c ximssctl -n '__ximssctl_at account' -a add -d 'Create an account.'
complete -c ximssctl -n '__ximssctl_in account add' -l password-stdin -d 'the password is the first line of standard input'
complete -c ximssctl -n '__ximssctl_in account add' -l real-name -x -d 'the account\'s real name'
complete -c ximssctl -n '__ximssctl_at account' -a list -d 'List all accounts.'
complete -c ximssctl -n '__ximssctl_at account' -a passwd -d 'Set an account\'s password.'
complete -c ximssctl -n '__ximssctl_in account passwd' -l password-stdin -d 'the password is the first line of standard input'
complete -c ximssctl -n '__ximssctl_at account' -a remove -d 'Remove an account and everything that it holds.'
complete -c ximssctl -n '__ximssctl_at ' -a session
complete -c ximssctl -n '__ximssctl_at session' -a list -d 'List connections and sessions.'
complete -c ximssctl -n '__ximssctl_at session' -a kick -d 'End a connection or session.'
complete -c ximssctl -n '__ximssctl_at session kick' -a '(__ximssctl_ids)'
complete -c ximssctl -n '__ximssctl_at session' -a say -d 'Show a text to the user of a session.'
complete -c ximssctl -n '__ximssctl_at session say' -a '(__ximssctl_ids)'
complete -c ximssctl -n '__ximssctl_at session say' -a all -d 'Show a text to all users.'
complete -c ximssctl -n '__ximssctl_at ' -a try -d 'Log in over every listener, and ask the LMTP ones about the account.'
complete -c ximssctl -n '__ximssctl_in try' -l password-stdin -d 'the password is the first line of standard input'
complete -c ximssctl -n '__ximssctl_at ' -a status -d 'Say how the server does: processes, listeners, connections.'
complete -c ximssctl -n '__ximssctl_at ' -a reload -d 'Take the configuration file into use again: all of it or nothing. Says what changed and what waits for a restart.'
complete -c ximssctl -n '__ximssctl_at ' -a drain -d '\\'
complete -c ximssctl -n '__ximssctl_in drain' -l within -x -d 'the longest that it may take, such as 90s or 10m'
complete -c ximssctl -n '__ximssctl_at ' -a why-login -d 'Say how the last 20 logins of an account ended, and why.'
complete -c ximssctl -n '__ximssctl_at ' -a unban -d 'Forget failed logins, and lift the blocks that came of them.'
complete -c ximssctl -n '__ximssctl_in unban' -l account -x -d 'the account'
complete -c ximssctl -n '__ximssctl_in unban' -l address -x -d 'the client\'s address'
complete -c ximssctl -n '__ximssctl_in unban' -l all -d 'everything'
complete -c ximssctl -n '__ximssctl_at ' -a log -d 'Show how much is logged, and where it goes.'
complete -c ximssctl -n '__ximssctl_at log' -a set -d 'Set how much is logged, of all or of some.'
complete -c ximssctl -n '__ximssctl_in log set' -l module -x -d 'records with this tag, such as XIMSSI'
complete -c ximssctl -n '__ximssctl_in log set' -l session -x -d 'records of this connection and session, such as 100042'
complete -c ximssctl -n '__ximssctl_in log set' -l account -x -d 'the account'
complete -c ximssctl -n '__ximssctl_in log set' -l for -x -d 'for how long: 90s, 10m, 2h, 1d'
complete -c ximssctl -n '__ximssctl_at log' -a reset -d 'End what `log set` began: for these, or for all.'
complete -c ximssctl -n '__ximssctl_in log reset' -l module -x -d 'records with this tag, such as XIMSSI'
complete -c ximssctl -n '__ximssctl_in log reset' -l session -x -d 'records of this connection and session, such as 100042'
complete -c ximssctl -n '__ximssctl_in log reset' -l account -x -d 'the account'
complete -c ximssctl -n '__ximssctl_at ' -a upgrade -d 'Execute the program file, which may be another version now, in place of the running program.'
