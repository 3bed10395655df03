/**
 * A frame of a backtrace: `/lib/libc.so.6(__libc_start_main+0x8b)[0x7f05]`.
 * @see ggml_print_backtrace in ggml.c of llama.cpp at 0c1e57098, by backtrace_symbols_fd(3)
 */
const frame = /^\S+\(.*\)\s?\[0x[0-9a-f]+\]$/;

/** The last `count` lines of a server's log that say something. An engine that aborts prints twenty frames after its reason, which would push it out. */
export function lastLines(log: string, count: number): string {
  return log
    .split("\n")
    .filter((line) => line.trim() !== "" && !frame.test(line.trim()))
    .slice(-count)
    .join("\n")
    .trim();
}

/** The most frames that an engine prints after its reason: read so many lines more than are wanted. @see tests/fixtures/llama-server: 20 */
export const mostFrames = 60;
