# shellcheck shell=sh
# What the scripts of this folder share. Sourced, never run.
#
# say    one line about what is being done
# fail   a message, and the end
# step   runs a command with its output in a log; says what it is as soon as it
#        takes over a second, and how long it took; the tail of the log if it fails

# shellcheck disable=SC2034 # used by those who source this
repo=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)
logs=${TMPDIR:-/tmp}/pgvigil-setup.$(id -u)
mkdir -p "$logs"

say() {
	printf 'pgvigil: %s\n' "$*" >&2
}

fail() {
	printf 'pgvigil: %s\n' "$*" >&2
	exit 1
}

# step NAME TEXT COMMAND…  (NAME names the log file)
step() {
	step_log=$logs/$1.log
	step_text=$2
	shift 2
	step_begin=$(date +%s)
	"$@" >"$step_log" 2>&1 </dev/null &
	step_pid=$!
	trap 'kill "$step_pid" 2>/dev/null' INT TERM
	step_said=0
	while kill -0 "$step_pid" 2>/dev/null; do
		sleep 0.2
		step_took=$(($(date +%s) - step_begin))
		if [ "$step_said" = 0 ] && [ "$step_took" -ge 1 ]; then
			say "$step_text ..."
			step_said=1
			step_next=15
		fi
		if [ "$step_said" = 1 ] && [ "$step_took" -ge "$step_next" ]; then
			say "    ${step_took} s: $(step_last_line)"
			step_next=$((step_next + 15))
		fi
	done
	step_rc=0
	wait "$step_pid" || step_rc=$?
	trap - INT TERM
	if [ "$step_rc" != 0 ]; then
		say "$step_text: failed. The end of $step_log:"
		tail -n 25 "$step_log" | sed 's/^/    /' >&2
		return "$step_rc"
	fi
	if [ "$step_said" = 1 ]; then
		say "    done in $(($(date +%s) - step_begin)) s"
	fi
}

step_last_line() {
	tr '\r' '\n' <"$step_log" | grep -v '^[[:space:]]*$' | tail -n 1 | tr -d '\033' | cut -c1-70
}
