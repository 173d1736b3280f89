# shellcheck shell=sh
# shellcheck disable=SC2034 # used by those who source this
# Which files are looked at. Sourced.
program_dirs="include lib sidecar controller ctl"
all_dirs="$program_dirs tests"

# sources DIRS EXTENSION…
sources() {
	for dir in $1; do
		[ -d "$dir" ] || continue
		for extension in $2; do
			find "$dir" -name "*.$extension" -type f
		done
	done | sort
}
