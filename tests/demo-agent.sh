# The agent of the demo: it does what an agent does, without a model. $BEAD_ID says which bead.
set -eu

greet() { # file, text, language
    printf '%s\n' "$2" > "$1"
    grep -qx "$3" languages || printf '%s\n' "$3" >> languages
    LC_ALL=C sort -o languages languages
    git add .
    git diff --cached --quiet || git commit --quiet --message "Greet in $3"
}

case $BEAD_ID in
    demo-1.1 | demo-1.2)
        # Both add a line in the same place: the second one conflicts, and is sent back. So neither
        # works before both have their worktree.
        for _ in $(seq 100); do
            [ "$BEAD_ROUND" = 0 ] || break
            [ ! -e ../demo-1.1/languages ] || [ ! -e ../demo-1.2/languages ] || break
            sleep 0.05
        done
        if [ "$BEAD_ROUND" -gt 0 ] && ! git merge --quiet origin/main; then
            grep -hv '^[<=>]' languages | LC_ALL=C sort -u > merged && mv merged languages
            git add . && git commit --quiet --no-edit
        fi
        if [ "$BEAD_ID" = demo-1.1 ]; then
            greet german.txt 'Guten Tag, please.' German
        else
            greet french.txt 'Bonjour, please.' French
        fi
        ;;
    demo-1.3)
        # The first attempt fails the check, whose words come back in the prompt.
        if grep -q 'check failed' "$BEAD_PROMPT"; then word=', please'; else word=; fi
        printf 'Buongiorno%s.\n' "$word" > italian.txt
        git add . && git commit --quiet --message 'Greet in Italian'
        ;;
    demo-1.4) greet latin.txt 'Salve, please.' Latin ;;
    demo-2) echo 'All greetings, please.' > announcement.txt ;; # left for agent-run to commit
    demo-3) echo 'I am a script: only a person can do that.' ;;
esac
