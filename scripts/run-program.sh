#!/bin/sh
# Runs one of the project's programs for Pulumi, and speaks for one that was killed. Node's compile cache halves the time that a program takes to start: some start
# in the middle of a rollout, while requests wait.
# The program is told who started it: this shell, its parent (Pulumi's provider) and that one's parent (the CLI). It asks /proc before Node does: Node takes its time.
IFS= read -r stat 2>/dev/null <"/proc/$PPID/stat"
stat=${stat##*) ? }
export LLM_SERVER_STARTED_BY="$$ $PPID ${stat%% *}"
NODE_COMPILE_CACHE=node_modules/.cache/node node "$@"
status=$?
if [ "$status" -gt 128 ]; then
  echo "$1 was killed (signal $((status - 128))), by somebody or for want of memory, before it could say anything." \
    "What served before goes on, or serves again as soon as the rollout's guard has seen to it: npm run status -- STACK says so. Then run the same pulumi up again." >&2
fi
exit "$status"
