import { refusalOf } from "../config/refused-flags.ts";
import type { DeclaredContainer } from "./container.ts";

/** Flags of llama-server that open it to whoever can reach it, with the variables that set them. Profiles refuse the same (`plan/config/refused-flags.ts`). */
const openingFlags: readonly { readonly flags: readonly string[]; readonly env: string }[] = [
  { flags: ["--props"], env: "LLAMA_ARG_ENDPOINT_PROPS" },
  { flags: ["--slot-save-path"], env: "LLAMA_ARG_SLOT_SAVE_PATH" },
  { flags: ["--path"], env: "LLAMA_ARG_STATIC_PATH" },
  { flags: ["--media-path"], env: "LLAMA_ARG_MEDIA_PATH" },
  { flags: ["--tools"], env: "LLAMA_ARG_TOOLS" },
  { flags: ["-ag", "--agent"], env: "LLAMA_ARG_AGENT" },
  { flags: ["--ui-mcp-proxy", "--webui-mcp-proxy"], env: "LLAMA_ARG_UI_MCP_PROXY" },
  { flags: ["--mcp-servers-config"], env: "LLAMA_ARG_MCP_SERVERS_CONFIG" },
  { flags: ["--mcp-servers-json"], env: "LLAMA_ARG_MCP_SERVERS_JSON" },
  { flags: ["--models-dir"], env: "LLAMA_ARG_MODELS_DIR" },
  { flags: ["--models-preset"], env: "LLAMA_ARG_MODELS_PRESET" },
  { flags: ["--context-shift"], env: "LLAMA_ARG_CONTEXT_SHIFT" },
  { flags: ["--sleep-idle-seconds"], env: "LLAMA_ARG_SLEEP_IDLE_SECONDS" },
  { flags: ["--rpc"], env: "LLAMA_ARG_RPC" },
  // a key on a command line or in the environment is shown by `docker inspect`
  { flags: ["--api-key"], env: "LLAMA_API_KEY" },
];

/**
 * Flags and variables in a command line, also in one that a shell or `env` is given as one word. llama-server takes `--a_b` for `--a-b`. What a shell
 * puts together only when it runs is not seen.
 */
function namesIn(words: readonly string[]): string[] {
  const line = words.join(" ");
  const flags = line.match(/(?<![\w-])--?[a-z][\w-]*/gi) ?? [];
  return [...flags.map((flag) => flag.replaceAll("_", "-")), ...(line.match(/(?<!\w)LLAMA_\w+/g) ?? [])];
}

/** What in the environment and the command line of a container opens a llama-server; each entry says what was found and why it is refused. */
export function openingFlagsIn({ envs = [], entrypoints = [], command = [] }: DeclaredContainer): string[] {
  const names = new Set([...envs.map((entry) => entry.split("=", 1)[0] ?? ""), ...namesIn([...entrypoints, ...command])]);
  return openingFlags.flatMap(({ flags, env }) => {
    const found = [env, ...flags].filter((name) => names.has(name));
    return found.map((what) => `${what}: expected it unset: ${refusalOf(env)?.reason ?? "it opens the server"}`);
  });
}

/** The variables that {@link openingFlagsIn} looks for. */
export const openingVariables: readonly string[] = openingFlags.map(({ env }) => env);
