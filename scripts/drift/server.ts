import type Docker from "dockerode";
import { z } from "zod";
import type { DeclaredContainer } from "../../plan/drift/declared.ts";
import type { SelfDescription, ServerSeen } from "../../plan/drift/observation.ts";
import { serverUrl } from "../gates/candidate.ts";
import { describeServer, getJson, type ChatServer } from "../gates/chat-client.ts";
import { gpuNames } from "../gates/host.ts";
import { describeError } from "../program.ts";
import { complete, describeWaitMs } from "./completion.ts";

/** Asks one running server everything; what it does not answer is null. */
export async function askServer(
  docker: Docker,
  declared: DeclaredContainer,
  apiKeyFile: string | null,
  deadlineMs: number,
): Promise<ServerSeen> {
  const container = docker.getContainer(declared.name);
  const gpus = declared.gpus === null ? null : await gpuNames(container);
  const base = { name: declared.name, gpus, speed: null };
  try {
    const server = await describeServer(await serverUrl(container), apiKeyFile);
    const [self, completion] = await Promise.all([describeSelf(server, describeWaitMs(deadlineMs)), complete(server, deadlineMs)]);
    return { ...base, self, completion };
  } catch (error) {
    return { ...base, self: null, completion: { kind: "failed", reason: describeError(error) } };
  }
}

const propsSchema = z.object({
  model_path: z.string().optional(),
  model_alias: z.string().optional(),
  total_slots: z.number().optional(),
  build_info: z.string().optional(),
  default_generation_settings: z.object({ n_ctx: z.number().optional() }).optional(),
});
const modelsSchema = z.object({
  data: z.array(z.object({ id: z.string(), meta: z.object({ n_params: z.number().optional() }).nullish() })),
});

async function describeSelf(server: ChatServer, waitMs: number): Promise<SelfDescription | null> {
  try {
    const signal = AbortSignal.timeout(waitMs);
    const [props, models] = await Promise.all([
      getJson(server, "/props", propsSchema, signal),
      getJson(server, "/v1/models", modelsSchema, signal),
    ]);
    return {
      modelPath: props.model_path ?? null,
      alias: props.model_alias ?? null,
      slots: props.total_slots ?? null,
      contextTokens: props.default_generation_settings?.n_ctx ?? null,
      build: props.build_info ?? null,
      models: models.data.map(({ id }) => id),
      parameters: models.data[0]?.meta?.n_params ?? null,
    };
  } catch {
    return null; // the completion says what is wrong
  }
}
