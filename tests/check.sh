#!/bin/bash
# Everything that a change must pass, stage by stage; `make check` runs it in the dev
# container. Each stage prints to its log and says here what it is, how
# long it took and how it ended; a failed one shows the end of its log. The last
# line sums what the stages counted: N passed, N failed, N skipped.
set -u
cd "$(dirname "$0")/.." || exit 1
unset MAKEFLAGS MAKELEVEL MFLAGS SANITIZE WERROR CC
export BUILD=${BUILD:-build}

logs=$BUILD/check-logs
rm -rf "$logs"
mkdir -p "$logs"
jobs=-j$(nproc)
export UNIT_TIMEOUT=300

# name | command. A stage counts by its own line 'N passed, N failed, N skipped'; one
# that prints none counts as one test.
stages=(
	"build|make $jobs all unit-programs"
	"lint|make $jobs lint"
	"unit|make $jobs unit ALL=1"
	"unit-sanitized|make $jobs unit ALL=1 SANITIZE=address,undefined"
)
[ -e tests/integration/guard/run ] && stages+=("guard|tests/integration/guard/run")
[ -n "$(find tests/sim -name '*.c' 2>/dev/null)" ] &&
	stages+=(
		"simulation|make $jobs $BUILD/pgvigil-sim && $BUILD/pgvigil-sim --seconds 300 --at-least 20000"
		"mutations|make mutations QUICK=1"
	)
[ -e tests/integration/run ] &&
	stages+=(
		"node-image|make $jobs node-image"
		"demo-short|tests/integration/run demo-short"
		"integration-short|tests/integration/run --short"
		"integration-sanitized|export NODE_IMAGE=pgvigil/node:sanitized && make $jobs node-image SANITIZE=address,undefined && tests/integration/run --sanitized"
	)

# Never on a cluster that happens to be in KUBECONFIG.
[ -e tests/kube/run ] &&
	stages+=(
		"kubernetes-programs|tests/kube/build"
		"kubernetes-short|make $jobs images && env -u KUBECONFIG tests/kube/run --short"
	)

# A skip whose line has no reason of this list in it is a failure; in CI none has.
allowed_skips=tests/allowed-skips
[ -z "${CI:-}" ] || allowed_skips=/dev/null

passed=0 failed=0 skipped=0
table=()

# A line now and then while a stage is quiet: what it said last.
watch_log() {
	local log=$1 begin=$SECONDS
	while sleep 20; do
		printf '    %4d s  %s\n' $((SECONDS - begin)) "$(tail -c 2000 "$log" | tr '\r' '\n' | grep -v '^[[:space:]]*$' | tail -n 1 | cut -c1-100)"
	done
}

run_stage() {
	local name=$1 command=$2 log=$logs/$1.log begin=$SECONDS rc=0 watcher counted
	printf '== %s\n' "$name"
	watch_log "$log" &
	watcher=$!
	bash -c "$command" >"$log" 2>&1 </dev/null || rc=$?
	{ kill "$watcher" && wait "$watcher"; } 2>/dev/null

	counted=$(sed -n 's/^\([0-9]*\) passed, \([0-9]*\) failed\(, \([0-9]*\) skipped\)\{0,1\}$/\1 \2 \4/p' "$log" | tail -n 1)
	local p f s
	read -r p f s <<<"${counted:-none}"
	if [ "$p" = none ]; then
		if [ "$rc" = 0 ]; then p=1 f=0; else p=0 f=1; fi
	elif [ "$rc" != 0 ] && [ "$f" = 0 ]; then
		f=1
	fi
	s=${s:-0}
	local forbidden
	forbidden=$(grep -iE '^skip ' "$log" | grep -cvFf "$allowed_skips")
	f=$((f + forbidden)) s=$((s - forbidden))
	passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))

	local word=ok
	if [ "$f" != 0 ]; then
		word=FAILED
		grep -E '^(FAIL|not ok|ERROR|skip)|error:|warning:' "$log" | head -n 40 | sed 's/^/    /'
		echo "    the end of $log:"
		tail -n 40 "$log" | sed 's/^/    /'
	fi
	local line
	line=$(printf '%-21s %5d s  %6d passed %4d failed %4d skipped  %s' "$name" $((SECONDS - begin)) "$p" "$f" "$s" "$word")
	printf '   %s\n' "$line"
	table+=("$line")
}

for stage in "${stages[@]}"; do
	run_stage "${stage%%|*}" "${stage#*|}"
done

printf '\n'
printf '%s\n' "${table[@]}"
printf '%d s in all\n' "$SECONDS"
printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
[ "$failed" = 0 ]
