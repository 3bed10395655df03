import type { ConfigIssue } from "./errors.ts";

/** What the rules look at besides the flags: whether the profile names a draft model and a vision encoder. */
export interface RuleFacts {
  readonly draft: boolean;
  readonly mmproj: boolean;
}

type Flags = Readonly<Record<string, string>>;
type Issue = Omit<ConfigIssue, "file">;
type Rule = (flags: Flags, facts: RuleFacts) => readonly Issue[];

const halfOrMore = new Set(["f32", "f16", "bf16"]);

/** @see `llama_init_from_model` of llama.cpp: "V cache quantization requires flash_attn" */
const quantisedVNeedsFlashAttention: Rule = (flags) => {
  const type = flags["LLAMA_ARG_CACHE_TYPE_V"];
  const attention = flags["LLAMA_ARG_FLASH_ATTN"];
  if (type === undefined || halfOrMore.has(type) || attention === undefined || attention === "on") return [];
  const got = `${type} with LLAMA_ARG_FLASH_ATTN=${attention}`;
  return [
    { path: "LLAMA_ARG_CACHE_TYPE_V", got, allowed: "a quantised V cache with flash attention on", fix: "set LLAMA_ARG_FLASH_ATTN=on" },
  ];
};

/** @see common/fit.cpp of llama.cpp at 0c1e57098bba43ac29e6e3b677cdceebdd22334f: each of these makes it give up */
export const placedByHand: readonly string[] = ["N_CPU_MOE", "CPU_MOE", "N_CPU_FFN", "OVERRIDE_TENSOR", "TENSOR_SPLIT"].map(
  (name) => `LLAMA_ARG_${name}`,
);
const fitPlacesAlone: Rule = (flags) => {
  if (flags["LLAMA_ARG_FIT"] !== "on") return [];
  const byHand = placedByHand.filter((key) => flags[key] !== undefined && flags[key] !== "off");
  const issues: Issue[] = byHand.map((path) => ({
    path,
    got: `${flags[path] ?? ""} with LLAMA_ARG_FIT=on`,
    allowed: "either --fit or a placement by hand",
    fix: "remove it, or set LLAMA_ARG_FIT=off",
  }));
  const layers = flags["LLAMA_ARG_N_GPU_LAYERS"];
  if (layers !== undefined && layers !== "auto") {
    const fix = "set LLAMA_ARG_N_GPU_LAYERS=auto, or LLAMA_ARG_FIT=off";
    issues.push({
      path: "LLAMA_ARG_N_GPU_LAYERS",
      got: `${layers} with LLAMA_ARG_FIT=on`,
      allowed: "auto: --fit gives up on a number",
      fix,
    });
  }
  return issues;
};

/** Options of `--fit`. */
export const fitOptions: readonly string[] = ["LLAMA_ARG_FIT_TARGET", "LLAMA_ARG_FIT_CTX"];
const fitOptionsNeedFit: Rule = (flags) =>
  fitOptions
    .filter((key) => flags[key] !== undefined && flags["LLAMA_ARG_FIT"] !== "on")
    .map((path) => ({
      path,
      got: `${flags[path] ?? ""} without --fit`,
      allowed: "it with LLAMA_ARG_FIT=on only",
      fix: "remove it, or set LLAMA_ARG_FIT=on",
    }));

const DRAFT_OPTION = /^LLAMA_ARG_(SPEC_DRAFT_\w+|DRAFT_\w+|\w+_DRAFT)$/;
const draftOptionsNeedDraftModel: Rule = (flags, { draft }) => {
  const drafts = flags["LLAMA_ARG_SPEC_TYPE"]?.split(",").some((type) => type.startsWith("draft-")) === true;
  if (draft || drafts) return [];
  const allowed = "draft options with a draft model only";
  return Object.keys(flags)
    .filter((key) => DRAFT_OPTION.test(key))
    .map((path) => ({ path, got: `${flags[path] ?? ""} without a draft model`, allowed, fix: "set DRAFT_MODEL, or remove it" }));
};

const visionOptionsNeedMmproj: Rule = (flags, { mmproj }) =>
  ["LLAMA_ARG_MMPROJ_OFFLOAD", "LLAMA_ARG_IMAGE_MIN_TOKENS", "LLAMA_ARG_IMAGE_MAX_TOKENS"]
    .filter((key) => !mmproj && flags[key] !== undefined)
    .map((path) => ({
      path,
      got: `${flags[path] ?? ""} without MMPROJ`,
      allowed: "vision options with a vision encoder only",
      fix: "set MMPROJ, or remove it",
    }));

const excludeEachOther: Rule = (flags) => {
  const layers = flags["LLAMA_ARG_N_CPU_MOE"];
  if (layers === undefined || flags["LLAMA_ARG_CPU_MOE"] !== "on") return [];
  const got = `${layers} with LLAMA_ARG_CPU_MOE=on`;
  return [{ path: "LLAMA_ARG_N_CPU_MOE", got, allowed: "one of the two: --cpu-moe means all layers", fix: "remove one" }];
};

/** `low` must not exceed `high`; llama.cpp would lower it without a word. */
const ordered =
  (low: string, high: string, unit: string): Rule =>
  (flags) => {
    const [a, b] = [flags[low], flags[high]];
    if (a === undefined || b === undefined || Number(a) <= Number(b)) return [];
    return [{ path: low, got: a, allowed: `at most ${high}, which is ${b} (${unit})`, fix: `lower it, or raise ${high}` }];
  };

/** Cells of the KV cache come in blocks of 256, for each slot where slots don't share them. */
const slotsNeedContext: Rule = (flags) => {
  const [context, slots] = [flags["LLAMA_ARG_CTX_SIZE"], flags["LLAMA_ARG_N_PARALLEL"]];
  if (context === undefined || slots === undefined || flags["LLAMA_ARG_KV_UNIFIED"] !== "off") return [];
  if (Number(context) >= Number(slots) * 256) return [];
  const fix = "raise it, lower LLAMA_ARG_N_PARALLEL, or set LLAMA_ARG_KV_UNIFIED=on";
  return [{ path: "LLAMA_ARG_CTX_SIZE", got: context, allowed: `at least 256 tokens for each of ${slots} slots`, fix }];
};

/**
 * With Jinja the text is the template itself: `gemma`, meant as the built-in template of that name, makes the server send the model the
 * word "gemma" whatever was asked. Seen with build 11669: three different questions, three times the same answer.
 */
const templateMatchesEngine: Rule = (flags) => {
  const [template, jinja] = [flags["LLAMA_ARG_CHAT_TEMPLATE"], flags["LLAMA_ARG_JINJA"]];
  if (template === undefined || jinja === undefined) return [];
  const isJinja = /\{[{%]/.test(template);
  if (isJinja === (jinja === "on")) return [];
  const path = "LLAMA_ARG_CHAT_TEMPLATE";
  return jinja === "on"
    ? [
        {
          path,
          got: `"${template.slice(0, 80)}" with LLAMA_ARG_JINJA=on`,
          allowed: "a Jinja template: that word itself would be sent to the model",
          fix: "write the template out, or set LLAMA_ARG_JINJA=off",
        },
      ]
    : [
        {
          path,
          got: "a Jinja template with LLAMA_ARG_JINJA=off",
          allowed: "the name of a built-in template",
          fix: "set LLAMA_ARG_JINJA=on",
        },
      ];
};

const reuseNeedsPromptCache: Rule = (flags) => {
  const reuse = flags["LLAMA_ARG_CACHE_REUSE"];
  if (reuse === undefined || reuse === "0" || flags["LLAMA_ARG_CACHE_PROMPT"] !== "off") return [];
  return [
    {
      path: "LLAMA_ARG_CACHE_REUSE",
      got: `${reuse} with LLAMA_ARG_CACHE_PROMPT=off`,
      allowed: "0 without the prompt cache",
      fix: "remove one",
    },
  ];
};

const rules: readonly Rule[] = [
  quantisedVNeedsFlashAttention,
  fitPlacesAlone,
  fitOptionsNeedFit,
  draftOptionsNeedDraftModel,
  visionOptionsNeedMmproj,
  excludeEachOther,
  ordered("LLAMA_ARG_UBATCH", "LLAMA_ARG_BATCH", "tokens"),
  ordered("LLAMA_ARG_IMAGE_MIN_TOKENS", "LLAMA_ARG_IMAGE_MAX_TOKENS", "tokens"),
  slotsNeedContext,
  templateMatchesEngine,
  reuseNeedsPromptCache,
];

/** Every broken rule between flags of one profile. Looks at valid values only: a bad one has been reported by itself. */
export const flagRuleIssues = (flags: Flags, facts: RuleFacts): readonly Issue[] => rules.flatMap((rule) => rule(flags, facts));
