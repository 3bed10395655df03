import type Docker from "dockerode";

import type { BenchmarkInput } from "../../plan/gates/gate-input.ts";
import { findVisionProblem } from "../../plan/gates/vision-check.ts";
import type { VisionReply } from "../../plan/gates/vision-check.ts";
import { logTail, serverUrl } from "./candidate.ts";
import { describeServer, exchange } from "./chat-client.ts";
import type { ChatServer } from "./chat-client.ts";
import type { GateContext, Outcome } from "./gate-program.ts";

/** A picture for the server: a PNG of 96 bytes, 64 × 64 pixels of one bit: the left half red, the right half blue. */
const pictureUri =
  "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAEAAAABAAQMAAACQp+OdAAAABlBMVEX/AAAAAP9sof2OAAAAFUlEQVR42mNgAIL/QMAwyhhlkM4AAPTk/wHgcfYIAAAAAElFTkSuQmCC";

/** What the smoke test asked and what came, for the evidence; `problem` is the gate's reason, null where the server sees. */
export interface VisionSample {
  readonly request: object;
  readonly withPicture: VisionReply;
  readonly withoutPicture: VisionReply;
  readonly problem: string | null;
}

/**
 * Asks a server what it sees in a small picture, and the same without the picture.
 * @throws {Error} if `signal` aborts; whatever the server does is in the sample.
 */
export async function tryVision(server: ChatServer, requestTimeoutSec: number, signal: AbortSignal): Promise<VisionSample> {
  const text = { type: "text", text: "Which two colours does this picture have?" };
  const request = visionBody([{ type: "image_url", image_url: { url: pictureUri } }, text]);
  const ask = async (body: object): Promise<VisionReply> => {
    const deadline = AbortSignal.any([signal, AbortSignal.timeout(requestTimeoutSec * 1000)]);
    try {
      return await exchange(server, "/v1/chat/completions", body, deadline);
    } catch (error) {
      signal.throwIfAborted();
      return { status: null, body: String(deadline.aborted ? deadline.reason : error) };
    }
  };
  const withoutPicture = await ask(visionBody([text]));
  const withPicture = await ask(request);
  return { request, withPicture, withoutPicture, problem: findVisionProblem(withPicture, withoutPicture) };
}

function visionBody(content: readonly object[]): object {
  return { messages: [{ role: "user", content }], max_tokens: 16, temperature: 0, cache_prompt: false };
}

/** The outcome of a running candidate that has an mmproj and does not see, with what it answered in the evidence; undefined if it sees, or has none. */
export async function failBlind(container: Docker.Container, input: BenchmarkInput, context: GateContext): Promise<Outcome | undefined> {
  if (input.flags["LLAMA_ARG_MMPROJ"] === undefined) return undefined;
  const server = await describeServer(await serverUrl(container), input.apiKeyFile);
  const sample = await tryVision(server, input.protocol.requestTimeoutSec, context.signal);
  context.evidence["vision"] = sample;
  if (sample.problem === null) {
    context.progress("vision: the server sees a picture");
    return undefined;
  }
  context.evidence["logTail"] = await logTail(container);
  return { verdict: "failed", reason: sample.problem, metrics: [], comparedWith: null, samples: 0 };
}
