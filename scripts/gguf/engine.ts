import { PassThrough } from "node:stream";
import { buffer, text } from "node:stream/consumers";
import type Docker from "dockerode";
import tar from "tar-stream";
import { labels } from "../../plan/names.ts";

/** A model for the engine to plan: the header's bytes, and how long the file is to look. */
export interface EngineModel {
  readonly name: string;
  readonly header: Uint8Array;
  readonly fileBytes: number;
}

/**
 * One question. `fit-params` asks `llama-fit-params --fit-print on`, which reserves logits for a whole ubatch; `server` starts `llama-server` with
 * `--fit on`, reads the memory that it plans for before it loads, and ends it. The server is what will run: it reserves fewer logits in newer builds.
 */
export interface EngineQuestion {
  readonly tool: "fit-params" | "server";
  readonly model: string;
  readonly args: readonly string[];
}

/** One device's line, MiB, rounded down by the engine. `host` is its `Host`. */
export interface EngineDevice {
  readonly device: string;
  readonly modelMiB: number;
  readonly contextMiB: number;
  readonly computeMiB: number;
}

/** The engine's devices in its order, or why it didn't answer. */
export type EngineAnswer = { readonly devices: readonly EngineDevice[] } | { readonly error: string };

/** Where the engine runs. */
export interface EngineHost {
  readonly docker: Docker;
  /** Image with `llama-fit-params` and `llama-server`. */
  readonly image: string;
  readonly gpus: readonly string[];
  /** Environment of the tools, e.g. a software Vulkan device's. */
  readonly env?: Readonly<Record<string, string>>;
  /** @default 2 */
  readonly parallel?: number;
}

const WORK = "/work";
/** Longest wait for one answer; header-only planning takes a second, twice that on a busy host. */
const QUESTION_SEC = 60;

/** Answers one line of /work/questions by number; prints `number<TAB>line` for each line about a device, `number<TAB>end` last. */
const ONE = `
i=$1; line=$(sed -n "\${i}p" ${WORK}/questions); tool=\${line%% *}; args=\${line#* }; log=/tmp/$i.log
[ -z "$PRELOAD" ] || export LD_PRELOAD="$PRELOAD"
if [ "$tool" = fit-params ]; then
  timeout -k 1 ${QUESTION_SEC} llama-fit-params $args --fit-print on >$log 2>$log.err || tail -n 2 $log.err | cut -c1-300 | sed "s/^/$i\\terror /"
  grep -E '^[A-Za-z]+[0-9]* [0-9]+ [0-9]+ [0-9]+' $log | sed "s/^/$i\\tdevice /"
else
  llama-server $args --fit on -lv 4 --host 127.0.0.1 --port $((20000 + i)) >$log 2>&1 & pid=$!
  n=0
  while [ $n -lt ${QUESTION_SEC}0 ] && kill -0 $pid 2>/dev/null && ! grep -q 'breakdown_print: |   - Host' $log; do sleep 0.1; n=$((n + 1)); done
  kill -9 $pid 2>/dev/null; wait $pid 2>/dev/null
  # the first table only: with a draft or MTP the engine measures that one afterwards
  awk -v i=$i '/breakdown_print/ { print i "\\ttable " $0 } /breakdown_print: \\|   - Host/ { exit }' $log
  grep -q breakdown_print $log || grep -iE ' E |error' $log | tail -n 2 | cut -c1-300 | sed "s/^/$i\\terror /"
fi
rm -f $log $log.err
printf '%s\\tend\\n' $i
`;

const MAIN = `
while read -r name bytes; do truncate -s "$bytes" ${WORK}/models/$name.gguf || exit 1; done <${WORK}/sizes
seq 1 $(wc -l <${WORK}/questions) | xargs -P "$PARALLEL" -n 1 sh ${WORK}/one.sh
`;

/**
 * Asks the engine in one container, without network, for any number of questions; no weight is read, so the models take no disk.
 * @throws {Error} if the container can't be made or stops without an answer to every question.
 */
export async function askEngine(
  host: EngineHost,
  models: readonly EngineModel[],
  questions: readonly EngineQuestion[],
): Promise<EngineAnswer[]> {
  const unsafe = questions.flatMap(({ model, args }) => [model, ...args]).find((word) => !/^[\w.,:=/+-]+$/.test(word));
  if (unsafe !== undefined) throw new Error(`engine question: got ${JSON.stringify(unsafe)}, allowed are letters, digits and .,:=/+-_`);
  const container = await host.docker.createContainer(createOptions(host));
  try {
    await container.putArchive(await packWork(models, questions), { path: "/" });
    const stream = await container.attach({ stream: true, stdout: true, stderr: true });
    const [stdout, stderr] = [new PassThrough(), new PassThrough()];
    host.docker.modem.demuxStream(stream, stdout, stderr);
    stream.on("end", () => {
      stdout.end();
      stderr.end();
    });
    const output = Promise.all([text(stdout), text(stderr)]);
    await container.start();
    const { StatusCode: code } = (await container.wait()) as { StatusCode: number };
    const [out, errors] = await output;
    const answers = readAnswers(out, questions.length);
    if (answers === null)
      throw new Error(`engine in ${host.image}: ended with ${code} before it had answered all; ${errors.slice(-500).trim()}`);
    return answers;
  } finally {
    await container.remove({ force: true, v: true });
  }
}

function createOptions({ image, gpus, env = {}, parallel = 2 }: EngineHost): Docker.ContainerCreateOptions {
  return {
    Image: image,
    Entrypoint: ["sh"],
    Cmd: ["-c", MAIN],
    Env: [...Object.entries({ ...env, PARALLEL: String(parallel) }).map(([name, value]) => `${name}=${value}`)],
    Labels: { [labels.role]: "helper" },
    HostConfig: {
      NetworkMode: "none",
      CapDrop: ["ALL"],
      SecurityOpt: ["no-new-privileges:true"],
      Init: true,
      ...(gpus.length === 0 ? {} : { DeviceRequests: [{ Driver: "", DeviceIDs: [...gpus], Capabilities: [["gpu"]] }] }),
    },
  };
}

async function packWork(models: readonly EngineModel[], questions: readonly EngineQuestion[]): Promise<Buffer> {
  const pack = tar.pack();
  const put = (name: string, content: string | Buffer): unknown => pack.entry({ name: `${WORK.slice(1)}/${name}`, mode: 0o666 }, content);
  pack.entry({ name: WORK.slice(1), type: "directory", mode: 0o755 });
  pack.entry({ name: `${WORK.slice(1)}/models`, type: "directory", mode: 0o755 });
  for (const { name, header } of models) put(`models/${name}.gguf`, Buffer.from(header));
  put("sizes", models.map(({ name, fileBytes }) => `${name} ${fileBytes}\n`).join(""));
  put("one.sh", ONE);
  put("questions", questions.map(({ tool, model, args }) => `${tool} -m ${WORK}/models/${model}.gguf ${args.join(" ")}\n`).join(""));
  pack.finalize();
  return buffer(pack);
}

/** Answers by question, or null where some question has no end. */
function readAnswers(output: string, count: number): EngineAnswer[] | null {
  const devices = new Map<number, EngineDevice[]>();
  const errors = new Map<number, string>();
  const ended = new Set<number>();
  for (const line of output.split("\n")) {
    const [, number, kind, rest = ""] = /^(\d+)\t(device|table|error|end) ?(.*)$/.exec(line) ?? [];
    if (number === undefined) continue;
    const index = Number(number);
    if (kind === "end") ended.add(index);
    if (kind === "error") errors.set(index, `${errors.get(index) ?? ""} ${rest}`.trim());
    const device = kind === "device" ? readFitLine(rest) : kind === "table" ? readTableLine(rest) : null;
    if (device !== null) devices.set(index, [...(devices.get(index) ?? []), device]);
  }
  if (ended.size < count) return null;
  return Array.from({ length: count }, (_, index) => {
    const found = devices.get(index + 1);
    return found === undefined ? { error: errors.get(index + 1) ?? "no answer in time" } : { devices: found };
  });
}

/** `Vulkan0 2027 931 584`: device, model, context, compute. */
function readFitLine(line: string): EngineDevice | null {
  const [device, model, context, compute] = line.trim().split(/\s+/);
  return named(device, [model, context, compute]);
}

/** `|   - CUDA0 (…) | 16303 = 15000 + ( 4463 = 2027 + 931 + 1504) + …`, or `|   - Host | 33795 = 33155 + 0 + 640`. @see common_memory_breakdown_print */
function readTableLine(line: string): EngineDevice | null {
  const found = /\|\s+- ([A-Za-z]+\d*)\b.*?=\s*(\d+) \+\s*(\d+) \+\s*(\d+)\)?[^=]*$/.exec(line);
  return found === null ? null : named(found[1], found.slice(2));
}

function named(device: string | undefined, numbers: readonly (string | undefined)[]): EngineDevice | null {
  const [modelMiB, contextMiB, computeMiB] = numbers.map(Number);
  if (device === undefined || modelMiB === undefined || contextMiB === undefined || computeMiB === undefined) return null;
  return { device: device === "Host" ? "host" : device, modelMiB, contextMiB, computeMiB };
}
