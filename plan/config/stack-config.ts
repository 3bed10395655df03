import { z } from "zod";
import { apiKeySchema, mayPublish, originSchema, planAccess, shortestKey, tlsSchema } from "../access.ts";
import { answersThresholdsSchema, benchmarkThresholdsSchema, perplexityThresholdsSchema } from "../gates/thresholds.ts";
import { gpuId } from "../policy/gpu-ids.ts";
import { controlsHost } from "../policy/host-path.ts";
import { strategySettingSchema } from "../rollout/strategy.ts";
import { ConfigError, parseWith, type ConfigIssue } from "./errors.ts";
import { parseYamlWith } from "./yaml.ts";

/** Pulumi's name for the project, and the namespace of its configuration keys. */
export const projectName = "llm-server";

const dryRun = z.boolean({ error: "true (report, don't decide) or false" }).default(false);
const timeoutSec = z.number().int().positive().default(3600);
const seconds = (max: number) => z.number().int().min(0).max(max);
const hostPath = z
  .string()
  .regex(/^\/[^\0]*$/, "an absolute path on the Docker host")
  .refine((path) => !controlsHost(path), "a folder of models: not one that the host is controlled by, and none that holds one");

const gatewaySchema = z.strictObject({
  /** Address on the Docker host that clients reach; another one than loopback takes an API key and TLS. */
  bind: z.union([z.ipv4(), z.ipv6()], { error: "an IP address of the Docker host, e.g. 127.0.0.1" }).default("127.0.0.1"),
  port: z.number().int().min(1024).max(65535).default(8080),
  /** Seconds a request waits for a release to take it; then 503. */
  holdSec: seconds(3600).default(120),
  /** Largest request, MiB; what is larger gets 413. llama-server takes some 68 times the length of a prompt to find that the prompt is too long. */
  maxRequestMiB: z.number().int().min(1).max(1024).default(32),
  /** Seconds that requests still running on the old release have to finish after a switch. */
  drainSec: seconds(3600).default(60),
  /** Where web pages may come from that use a stack without API keys, and what a proxy before it is called; pages of this host's own may. */
  origins: z.array(originSchema).default([]),
  /** `@default` plain HTTP. */
  tls: tlsSchema.optional(),
});

const deviceSchema = z.strictObject({
  /** Platform of the Docker host, which images are built for. */
  platform: z.enum(["linux/amd64", "linux/arm64"]).default("linux/amd64"),
  /** GPU ids as Docker takes them; none on a CPU host. */
  gpus: z.array(z.string().regex(gpuId, "a GPU index or UUID (0, GPU-…, MIG-…)")).default([]),
  /** Memory of one GPU, MiB; what the memory planner plans for. */
  vramMiB: z.number().int().positive().optional(),
  /** Memory limit of one server's container, MiB; no swap on top. */
  memoryMiB: z.number().int().min(256),
  /** CPU limit in cores; `@default` none. */
  cpus: z.number().positive().optional(),
});

/** Most servers of one release. */
export const mostReplicas = 16;

const rolloutSchema = z.strictObject({
  /** `bluegreen`: the candidate beside what serves; `recreate`: in its place; `auto`: beside it where both fit the memory. */
  strategy: strategySettingSchema.default("auto"),
  /** Servers of a release, one per equal share of the GPUs, behind the gateway. */
  replicas: z.number().int().min(1).max(mostReplicas).default(1),
  /** Releases that were replaced last and are kept, stopped: the way back to one of them measures nothing again. */
  retain: z.number().int().min(0).max(10).default(1),
  /** Seconds to wait for another rollout on the same device; then `up` fails. */
  lockWaitSec: seconds(86_400).default(600),
});

const gatesSchema = z.strictObject({
  benchmark: z.strictObject({
    scenarioSet: z.string(),
    /** Committed speeds by profile, relative to the project: a first deploy is held against them on the host that the file names. */
    expectations: z.string().optional(),
    timeoutSec,
    dryRun,
    thresholds: benchmarkThresholdsSchema,
  }),
  perplexity: z.strictObject({
    corpus: z.string(),
    /** Tokens per chunk. */
    contextTokens: z.number().int().min(8),
    chunks: z.number().int().min(2),
    /** Committed reference of the model family, relative to the project, used while the Docker host has none. */
    reference: z.string().optional(),
    timeoutSec,
    dryRun,
    thresholds: perplexityThresholdsSchema.prefault({}),
  }),
  answers: z
    .strictObject({
      /** Set of configs/answers.yaml. */
      questions: z.string(),
      /** Committed reference answers, relative to the project, used while the Docker host has none. */
      reference: z.string().optional(),
      timeoutSec,
      dryRun,
      thresholds: answersThresholdsSchema.prefault({}),
    })
    .optional(),
});

/** A rule about who may reach the gateway is asked beside whatever else is wrong. */
const whenAccessIsParsed = {
  when: ({ issues }: z.core.ParsePayload) => issues.every(({ path }) => path?.[0] !== "gateway" && path?.[0] !== "apiKeys"),
};

/** Risks that the operator takes on purpose; each is named in the outputs. */
const acceptSchema = z.strictObject({
  /** Ids of configs/advisories.yaml. */
  advisories: z.array(z.string()).default([]),
  /** Deploy although the memory planner refuses. */
  memory: z.boolean().default(false),
});

/**
 * A stack's configuration: the keys `llm-server:*` of `Pulumi.<stack>.yaml`.
 * `profile` names `configs/llama-cpp-<profile>.env`; `models.path` is a folder on the Docker host that already holds model files (`@default` a managed volume).
 */
export const stackConfigSchema = z
  .strictObject({
    profile: z.string().regex(/^[a-z0-9]+(-[a-z0-9]+)*$/, "a profile id, as in configs/llama-cpp-<id>.env"),
    /** Images of configs/images.yaml that `up` builds beside the profile's own, so that another profile finds its image ready. */
    images: z.array(z.string()).default([]),
    gateway: gatewaySchema.prefault({}),
    /** Keys that requests need, any one of them; secrets. `@default` requests need none. */
    apiKeys: z.array(apiKeySchema).min(1).max(16).optional(),
    models: z.strictObject({ path: hostPath.optional() }).prefault({}),
    device: deviceSchema,
    rollout: rolloutSchema.prefault({}),
    gates: gatesSchema,
    accept: acceptSchema.prefault({}),
  })
  .refine(({ device, rollout }) => device.gpus.length % rollout.replicas === 0, {
    path: ["rollout", "replicas"],
    error: "a number that divides the number of device.gpus: each replica gets an equal share",
  })
  .superRefine(({ gateway, apiKeys }, context) => {
    if (mayPublish(gateway.bind, planAccess(apiKeys !== undefined, gateway.tls))) return;
    const missing = [
      ...(apiKeys === undefined
        ? ["llm-server:apiKeys: openssl rand -hex 32 | pulumi config set --secret --path 'llm-server:apiKeys[0]'"]
        : []),
      ...(gateway.tls === undefined ? ["llm-server:gateway.tls: mode internal or files, and names (docs/security.md)"] : []),
    ];
    context.addIssue({
      code: "custom",
      path: ["gateway", "bind"],
      message: "127.0.0.1 or ::1 without API key and TLS: others than this host's users reach it",
      params: { fix: `set ${missing.join("; and ")}` },
    });
  }, whenAccessIsParsed)
  .superRefine(({ gateway, apiKeys }, context) => {
    if (apiKeys === undefined || gateway.origins.length === 0) return;
    const message = "no origins with llm-server:apiKeys: a page needs a key then, wherever it comes from";
    context.addIssue({ code: "custom", path: ["gateway", "origins"], message, params: { fix: "remove them" } });
  }, whenAccessIsParsed);
export type StackConfig = z.infer<typeof stackConfigSchema>;

/**
 * Configuration of a stack from what Pulumi hands over: full keys with text, objects as JSON text. Keys of other namespaces are not looked at.
 * @throws {ConfigError} naming every issue at once, with the key, the value, what is allowed and the file to mend
 */
export function parseStackConfig(stack: string, all: Readonly<Record<string, string>>): StackConfig {
  const file = `Pulumi.${stack}.yaml`;
  const own = Object.entries(all).flatMap(([key, value]) =>
    key.startsWith(`${projectName}:`) ? [[key.slice(projectName.length + 1), value] as const] : [],
  );
  if (own.length === 0)
    throw new ConfigError([
      {
        file,
        path: "",
        got: `no key of ${projectName}:`,
        allowed: `at least ${projectName}:profile`,
        fix: `copy the keys of Pulumi.dev.yaml`,
      },
    ]);
  return parseWith(stackConfigSchema, Object.fromEntries(own.map(([key, value]) => [key, readValue(value)])), { file });
}

/** API keys that Pulumi withheld, as `pulumi config` does without `--show-secrets`: in their place for whoever needs to know only that there are some. */
export const withheldKeys = JSON.stringify(["-".repeat(shortestKey)]);

/** The part of a stack's file that Pulumi fills: values by their full keys, a secret as `{ secure: … }`. */
const stackFileSchema = z.object({ config: z.record(z.string(), z.unknown()).nullish() });

/** How Pulumi keeps a secret in a stack's file. */
const isSecure = (value: unknown): boolean => typeof value === "object" && value !== null && "secure" in value;

/**
 * Pulumi calls the whole list a secret where one of the keys is, so each is looked at in the text of the stack's file; `isSecret` is Pulumi's word, and all there
 * is where the file is not there, or the keys are not in it.
 * @throws {ConfigError} naming each API key that is kept as plain text
 */
export function requireSecretKeys(
  stack: string,
  { apiKeys }: StackConfig,
  isSecret: (key: string) => boolean,
  stackFile: string | undefined,
): void {
  if (apiKeys === undefined) return;
  const file = `Pulumi.${stack}.yaml`;
  const key = `${projectName}:apiKeys`;
  if (!isSecret(key)) throw new ConfigError([readableKeys(file, "apiKeys", "secrets", "make other ones, because these were readable", 0)]);
  const kept = stackFile === undefined ? undefined : parseYamlWith(stackFileSchema, stackFile, { file }).config?.[key];
  if (!Array.isArray(kept)) return;
  const readable = kept.flatMap((each: unknown, index) => (isSecure(each) ? [] : [index]));
  const issue = (index: number): ConfigIssue =>
    readableKeys(file, `apiKeys.${index}`, "a secret", "make another one, because this one was readable", index);
  if (readable.length > 0) throw new ConfigError(readable.map(issue));
}

const readableKeys = (file: string, path: string, allowed: string, why: string, index: number): ConfigIssue => ({
  file,
  path,
  got: "plain text (not shown)",
  allowed,
  fix: `${why}: openssl rand -hex 32 | pulumi config set --secret --path '${projectName}:apiKeys[${index}]'`,
});

/** A configuration value as Pulumi keeps it: JSON for objects, bare text otherwise. `pulumi config set --path` writes 0.5 as text, so that is read as a number. */
function readValue(text: string): unknown {
  if (!/^\s*[[{]/.test(text)) return text;
  try {
    return JSON.parse(text, (_key, value: unknown) => (typeof value === "string" && /^\d+\.\d+$/.test(value) ? Number(value) : value));
  } catch {
    return text;
  }
}
