/** Why a profile may not set a flag, and what to do instead. */
export interface Refusal {
  readonly reason: string;
  readonly fix: string;
}

const refusals: readonly (Refusal & { readonly envs: RegExp })[] = [
  {
    envs: /^LLAMA_ARG_(MODEL|MMPROJ|ALIAS|HOST|PORT|REUSE_PORT|SPEC_DRAFT_MODEL|MODEL_DRAFT|API_PREFIX)$/,
    reason: "a profile that leaves it to the server component, which knows paths, address and name",
    fix: "remove it: MODEL, MMPROJ and DRAFT_MODEL name files of configs/models.yaml",
  },
  {
    envs: /^LLAMA(_ARG)?_API_KEY(_FILE)?$/,
    reason: "no key in a profile: the gateway checks keys",
    fix: "remove it and set llm-server:apiKeys as a secret (docs/security.md)",
  },
  {
    envs: /^LLAMA_ARG_SSL_/,
    reason: "no TLS in the server: the gateway has it",
    fix: "remove it",
  },
  {
    envs: /^(LLAMA_ARG_(MODEL_URL|MMPROJ_URL|MMPROJ_AUTO|HF_\w+|HFD_REPO|DOCKER_REPO|SPEC_DRAFT_HF_REPO|OFFLINE)|HF_TOKEN|LLAMA_OFFLINE)$/,
    reason: "no downloads by the server: the model volume fetches and checks files",
    fix: "remove it and list the file in configs/models.yaml",
  },
  {
    envs: /^LLAMA_ARG_(NO_)?(ENDPOINT_(METRICS|SLOTS)|(WEB)?UI|(WEB)?UI_CONFIG(_FILE)?|LOG_\w+|VERBOSE|CORS_\w+|TAGS)$|^LLAMA_LOG_/,
    reason: "a profile that leaves endpoints, page and log to the server component",
    fix: "remove it",
  },
  {
    envs: /^LLAMA_ARG_ENDPOINT_PROPS$/,
    reason: "no --props: any caller could change the server's settings",
    fix: "remove it",
  },
  {
    envs: /^LLAMA_ARG_(SLOT_SAVE_PATH|STATIC_PATH|MEDIA_PATH|VIDEO_FFMPEG_DIR)$/,
    reason: "no paths that callers can read or write through the server",
    fix: "remove it",
  },
  {
    envs: /^LLAMA_ARG_(TOOLS|TOOLS_RUNTIME|AGENT|MCP_SERVERS_\w+|(WEB)?UI_MCP_PROXY)$/,
    reason: "no tools in the server: callers could run commands and read files",
    fix: "remove it",
  },
  {
    envs: /^LLAMA_ARG_MODELS_\w+$/,
    reason: "no router mode: one release serves one checked model",
    fix: "remove it",
  },
  {
    envs: /^LLAMA_ARG_(NO_)?CONTEXT_SHIFT$/,
    reason: "no --context-shift: CVE-2026-21869 needs it, and it drops context unseen",
    fix: "remove it; it is off by default",
  },
  {
    envs: /^LLAMA_ARG_SLEEP_IDLE_SECONDS$/,
    reason: "no sleeping when idle: CVE-2026-43631 needs it",
    fix: "remove it",
  },
  {
    envs: /^LLAMA_ARG_RPC$/,
    reason: "no RPC servers: CVE-2026-34159 lets one take over the host",
    fix: "remove it",
  },
  {
    envs: /^LLAMA_ARG_(EMBEDDINGS|RERANKING|POOLING)$/,
    reason: "a chat server: the gates measure completions",
    fix: "remove it",
  },
  {
    envs: /^LLAMA_ARG_(TEMPERATURE|TOP_K|TOP_P|MIN_P|PRESENCE_PENALTY|FREQUENCY_PENALTY|REPEAT_PENALTY)$/,
    reason: "sampling by name",
    fix: "remove it and write SAMPLING=<preset of configs/sampling.yaml>",
  },
  {
    envs: /^LLAMA_ARG_SPEC_SYNTH_\w+$/,
    reason: "no made-up acceptance: answers would be wrong",
    fix: "remove it",
  },
  {
    envs: /^LLAMA_ARG_NO_/,
    reason: "flags by their positive name: llama.cpp reads LLAMA_ARG_NO_X as off whatever its value",
    fix: "write LLAMA_ARG_X=off instead",
  },
];

/** Why a profile may not set the variable `env`; undefined for those that it may or that nobody knows. */
export function refusalOf(env: string): Refusal | undefined {
  // NO_HOST is a flag of its own, not the negation of --host
  return env === "LLAMA_ARG_NO_HOST" ? undefined : refusals.find(({ envs }) => envs.test(env));
}
