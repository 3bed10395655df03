import { PassThrough, type Readable } from "node:stream";
import { buffer, text } from "node:stream/consumers";
import { pipeline } from "node:stream/promises";
import type Docker from "dockerode";

/** What a command inside a container printed, and its exit code. */
export interface ExecResult {
  readonly code: number;
  readonly stdout: Buffer;
  readonly stderr: string;
}

/** Runs a command inside a running container, with `stdin` as its standard input if there is one. */
export async function execIn(container: Docker.Container, command: readonly string[], stdin?: Readable): Promise<ExecResult> {
  const hasInput = stdin !== undefined;
  const exec = await container.exec({ Cmd: [...command], AttachStdin: hasInput, AttachStdout: true, AttachStderr: true });
  const stream = await exec.start({ hijack: true, stdin: hasInput });
  const stdout = new PassThrough();
  const stderr = new PassThrough();
  (container.modem as Docker["modem"]).demuxStream(stream, stdout, stderr);
  stream.once("end", () => (stdout.end(), stderr.end()));
  stream.once("error", (error) => (stdout.destroy(error), stderr.destroy(error)));
  const output = Promise.all([buffer(stdout), text(stderr)]);
  output.catch(() => undefined); // an input that breaks off is thrown below, and takes the output with it
  if (hasInput) await pipeline(stdin, stream);
  const [out, err] = await output;
  const { ExitCode } = await exec.inspect();
  return { code: ExitCode ?? -1, stdout: out, stderr: err };
}

/**
 * Standard output of a command inside a running container.
 * @throws {Error} with its standard error if it does not exit with 0
 */
export async function readExec(container: Docker.Container, command: readonly string[], stdin?: Readable): Promise<Buffer> {
  const { code, stdout, stderr } = await execIn(container, command, stdin);
  const [shown = "", ...more] = command.join(" ").split("\n"); // a script is shown by its first line
  if (code !== 0) throw new Error(`${shown}${more.length === 0 ? "" : " …"}: exit code ${code}: ${stderr.trim()}`);
  return stdout;
}

/** Standard output of a short command inside a running container as text; undefined if it is not there or fails. */
export async function execText(container: Docker.Container, command: readonly string[]): Promise<string | undefined> {
  const { code, stdout } = await execIn(container, command);
  return code === 0 ? stdout.toString("utf8") : undefined;
}
