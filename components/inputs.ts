import type * as command from "@pulumi/command";

/** Labels in the form that the Docker provider takes. */
export const dockerLabels = (labels: Readonly<Record<string, string>>): { label: string; value: string }[] =>
  Object.entries(labels).map(([label, value]) => ({ label, value }));

/** Command line of one of the project's programs. `exec`: Pulumi kills the shell that it started and no other one, and a program looks whether its parent is there. */
export const programLine = (path: string, ...args: readonly string[]): string =>
  ["exec sh scripts/run-program.sh", path, ...args].join(" ");

/**
 * Inputs of a `local.Command` that runs one of the project's programs: on create and on every change of its environment. Everything it needs to know
 * goes through the environment, its standard error is the progress that the operator sees, and its standard output is one JSON line.
 */
export const scriptCommand = (path: string) => {
  const run = programLine(path);
  return { create: run, update: run, addPreviousOutputInEnv: false, logging: "stderr" } satisfies command.local.CommandArgs;
};
