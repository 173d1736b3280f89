#!/bin/bash
# unit.sh BUILD PROGRAM…: runs Check programs, as many at a time as there are cores.
# Prints what failed and one closing line: N passed, N failed, N skipped.
set -u

build=$1
shift
lanes=${LANES:-$(nproc)}
logs=$build/unit-logs
rm -rf "$logs"
mkdir -p "$logs"

if [ $# = 0 ]; then
	echo "no unit test has been built"
	echo "0 passed, 1 failed, 0 skipped"
	exit 1
fi

# A program ends with its exit code, whatever killed it.
run_one() {
	name=${1#"$BUILD_DIR"/unit/}
	log=$LOGS/${name//\//.}
	timeout -k 5 "${UNIT_TIMEOUT:-120}" "$1" >"$log.out" 2>&1 </dev/null
	echo $? >"$log.rc"
}
export -f run_one
export LOGS=$logs BUILD_DIR=$build
# Each sanitizer report ends the program, leaks too; UBSan says where.
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1:abort_on_error=0:detect_stack_use_after_return=1}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}

printf '%s\0' "$@" | xargs -0 -n 1 -P "$lanes" bash -c 'run_one "$1"' run_one

passed=0 failed=0
for program; do
	name=${program#"$build"/unit/}
	log=$logs/${name//\//.}
	rc=$(cat "$log.rc" 2>/dev/null || echo 255)
	# "100%: Checks: 5, Failures: 0, Errors: 0", once for each runner of the program.
	read -r checks failures < <(sed -n 's/^[0-9]*%: Checks: \([0-9]*\), Failures: \([0-9]*\), Errors: \([0-9]*\)$/\1 \2 \3/p' \
		"$log.out" | awk '{ c += $1; f += $2 + $3 } END { print c + 0, f + 0 }')
	if [ "$checks" = 0 ] && [ "$rc" = 0 ]; then
		echo "FAIL $name: it ran no check"
		failed=$((failed + 1))
	elif [ "$rc" != 0 ] && [ "$failures" = 0 ]; then
		# It died, or a sanitizer spoke after the last check.
		echo "FAIL $name: exit code $rc (124: time)"
		tail -n 40 "$log.out" | sed 's/^/    /'
		passed=$((passed + checks))
		failed=$((failed + 1))
	else
		if [ "$failures" != 0 ]; then
			echo "FAIL $name"
			grep -E '^[^:]+:[0-9]+:[FE]:' "$log.out" | sed 's/^/    /'
		fi
		passed=$((passed + checks - failures))
		failed=$((failed + failures))
	fi
done

echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" = 0 ]
