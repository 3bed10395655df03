import { posix } from "node:path";
import { valuesOf, type DeclaredContainer } from "./container.ts";

const variables = ["MODEL", "MMPROJ", "SPEC_DRAFT_MODEL", "MODEL_DRAFT"].map((role) => `LLAMA_ARG_${role}`);
/** Flags of llama-server whose value is a file that answers depend on. */
const flags = [
  ...["-m", "--model", "-mm", "--mmproj", "-md", "--model-draft", "--spec-draft-model", "-mv", "--model-vocoder"],
  ...["--lora", "--lora-scaled", "--control-vector", "--control-vector-scaled"],
];
/** What may stand around a file's name: quotes and separators of a shell, of lists (`a.gguf,b.gguf`) and of scales (`a.gguf:0.5`). */
const separators = /[\s"'`;&|()=,:]+/;

/** Absolute paths in the container of the models that llama-server is told to load, by its variables, by its flags, or by the name of a file. */
export function modelFilesIn(container: DeclaredContainer): string[] {
  const { envs = [], entrypoints = [], command = [], workingDir = "/" } = container;
  const words = [...entrypoints, ...command].join(" ").split(separators);
  const afterFlags = words.filter((_, index) => flags.includes((words[index - 1] ?? "").replaceAll("_", "-")));
  const named = [...words, ...envs.flatMap((entry) => entry.split(separators))].filter((word) => word.endsWith(".gguf"));
  const set = variables.flatMap((name) => valuesOf(container, name));
  return [...new Set([...set, ...afterFlags, ...named])].map((file) => posix.resolve("/", workingDir, file));
}
