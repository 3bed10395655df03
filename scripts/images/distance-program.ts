import process from "node:process";
import { runProgram } from "../program.ts";
import { readText } from "./stack-plan.ts";
import { imageDistance } from "./upstream-distance.ts";

/** Longest wait for upstream, milliseconds: a preview must not hang where packets vanish. */
const waitMs = 2000;

/** `distance-program.ts IMAGE...`: prints {@link imageDistance} of these images as one JSON line, an array without those that aren't built from source. */
await runProgram(async (signal) => {
  const images = process.argv.slice(2);
  if (images.length === 0) throw new Error("usage: distance-program.ts IMAGE...");
  const text = readText("configs/images.yaml") ?? "";
  const deadline = AbortSignal.any([signal, AbortSignal.timeout(waitMs)]);
  const distances = await Promise.all(images.map((image) => imageDistance(text, image, deadline)));
  return distances.filter((distance) => distance !== undefined);
});
