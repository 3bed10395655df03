import process from "node:process";
import { runProgram } from "../program.ts";
import { readText } from "./stack-plan.ts";
import { imageDistance } from "./upstream-distance.ts";

/** Longest wait for upstream, milliseconds: a preview must not hang where packets vanish. */
const waitMs = 10_000;

/** `distance-program.ts IMAGE`: prints {@link imageDistance} of one image as one JSON line, `null` for an image that isn't built from source. */
await runProgram(async (signal) => {
  const [image] = process.argv.slice(2);
  if (image === undefined) throw new Error("usage: distance-program.ts IMAGE");
  const distance = await imageDistance(
    readText("configs/images.yaml") ?? "",
    image,
    AbortSignal.any([signal, AbortSignal.timeout(waitMs)]),
  );
  return distance ?? null;
});
