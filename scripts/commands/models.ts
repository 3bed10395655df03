import { readFile } from "node:fs/promises";
import { join, posix } from "node:path";
import { Command } from "commander";
import { modelFiles, parseModels, type Models } from "../../plan/config/models.ts";
import { pinModel, type MeasuredFile } from "../../plan/models/pin.ts";
import { planModelFiles } from "../../plan/models/store.ts";
import { Helper, storeDir } from "../docker/helper.ts";
import { connectDocker } from "../docker/host.ts";
import { readStackPlan } from "../images/stack-plan.ts";
import { writeWhole } from "../files.ts";
import { projectDir } from "../paths.ts";
import { log } from "../program.ts";
import { baseImage } from "../../plan/stack.ts";
import { referenceCommand } from "./models-reference.ts";

const modelsFile = join(projectDir, "configs", "models.yaml");

interface StackOption {
  readonly stack: string;
  readonly json?: boolean;
  readonly yes?: boolean;
}

/** `npm run models`: what model files there are, pinned and prunable. */
export function modelsCommand(): Command {
  const command = new Command("models").description("model files: list them, pin what was fetched, prune what nobody needs");
  const onStack = (name: string, description: string): Command =>
    command
      .command(name)
      .description(description)
      .option("-s, --stack <stack>", "stack whose models volume is meant", "dev")
      .option("--json", "print it as JSON");
  command
    .command("list", { isDefault: true })
    .description("models of configs/models.yaml")
    .option("--json", "print it as JSON")
    .action(list);
  onStack("pin", "write size and sha256 of fetched files into configs/models.yaml")
    .argument("<ids...>", "ids of configs/models.yaml")
    .action(pin);
  onStack("prune", "list files of a stack's volume that may be deleted, and delete them with --yes")
    .option("-y, --yes", "delete them")
    .action(prune);
  command.addCommand(referenceCommand());
  return command;
}

const readModels = async (): Promise<Models> => parseModels(await readFile(modelsFile, "utf8"));
const gib = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(2)} GiB`;

async function list({ json }: { json?: boolean }): Promise<void> {
  const rows = Object.entries(await readModels()).map(([id, model]) => {
    const files = modelFiles(model);
    const bytes =
      files.length === 0 || files.some((file) => file.bytes === undefined) ? null : files.reduce((sum, file) => sum + (file.bytes ?? 0), 0);
    const isPinned = files.length > 0 && files.every(({ sha256 }) => sha256 !== undefined);
    return { id, family: model.family, bytes, isPinned, prunable: model.prunable ?? null };
  });
  if (json === true) {
    process.stdout.write(`${JSON.stringify(rows, null, 2)}\n`);
    return;
  }
  const width = Math.max(...rows.map(({ id }) => id.length));
  for (const { id, bytes, isPinned, prunable } of rows) {
    const size = (bytes === null ? "size unknown" : gib(bytes)).padStart(12);
    process.stdout.write(
      `${id.padEnd(width)}  ${size}  ${isPinned ? "pinned  " : "unpinned"}${prunable === null ? "" : `  prunable: ${prunable}`}\n`,
    );
  }
}

/** Opens a stack's models volume. */
async function openVolume(stack: string): Promise<Helper> {
  const { volume } = await readStackPlan(stack);
  return Helper.start(connectDocker(null), baseImage, volume);
}

async function measure(helper: Helper, path: string): Promise<MeasuredFile | undefined> {
  const { code, stdout } = await helper.run(["stat", "-c", "%s", path]);
  if (code !== 0) return undefined;
  log(`models: reading ${posix.basename(path)}, ${gib(Number(stdout))}`);
  return { bytes: Number(stdout), sha256: (await helper.read(["sha256sum", path])).slice(0, 64) };
}

async function pin(ids: readonly string[], { stack, json }: StackOption): Promise<void> {
  const models = await readModels();
  await using helper = await openVolume(stack);
  let text = await readFile(modelsFile, "utf8");
  const pinned: Record<string, MeasuredFile> = {};
  for (const id of ids) {
    const model = Object.hasOwn(models, id) ? models[id] : undefined;
    const path = model === undefined ? undefined : planModelFiles(id, model)[0]?.path;
    const measured = path === undefined ? { bytes: 0, sha256: "" } : await measure(helper, posix.join(storeDir, path));
    if (measured === undefined) throw new Error(`model ${id} is not in the volume of stack ${stack}; fetch it with pulumi up -s ${stack}`);
    const changed = pinModel(text, id, measured); // names the known ids for one that there is not
    if (changed === undefined) log(`models: ${id} is pinned to that already`);
    text = changed ?? text;
    pinned[id] = measured;
  }
  await writeWhole(modelsFile, text);
  if (json === true) process.stdout.write(`${JSON.stringify(pinned, null, 2)}\n`);
  else for (const [id, { bytes, sha256 }] of Object.entries(pinned)) process.stdout.write(`${id}: ${bytes} bytes, sha256 ${sha256}\n`);
}

/** Shell patterns, below the volume's top folder, of what prunable entries stand for. */
function prunablePatterns(models: Models): { id: string; reason: string; pattern: string }[] {
  return Object.entries(models).flatMap(([id, model]) => {
    if (model.prunable === undefined) return [];
    const patterns = model.leftover === undefined ? [id, ...modelFiles(model).map(({ file }) => file)] : [model.leftover];
    return patterns.map((pattern) => ({ id, reason: model.prunable ?? "", pattern }));
  });
}

async function prune({ stack, json, yes }: StackOption): Promise<void> {
  const candidates = prunablePatterns(await readModels());
  await using helper = await openVolume(stack);
  const found: { id: string; reason: string; path: string; bytes: number }[] = [];
  for (const { id, reason, pattern } of candidates) {
    // the pattern's characters are checked by its schema; du prints KiB and path of each match
    const { stdout } = await helper.run(["sh", "-c", `cd ${storeDir} && du -sk -- ${pattern} 2>/dev/null`]);
    for (const line of stdout
      .toString("utf8")
      .split("\n")
      .filter((text) => text !== "")) {
      const [kib = "0", path = ""] = line.split("\t");
      found.push({ id, reason, path, bytes: Number(kib) * 1024 });
    }
  }
  if (yes === true) for (const { path } of found) await helper.read(["rm", "-rf", "--", posix.join(storeDir, path)]);
  if (json === true) process.stdout.write(`${JSON.stringify({ deleted: yes === true, files: found }, null, 2)}\n`);
  else if (found.length === 0) process.stdout.write(`nothing to prune in the volume of stack ${stack}\n`);
  else {
    for (const { path, bytes, reason } of found)
      process.stdout.write(`${yes === true ? "deleted" : "may go"}  ${gib(bytes)}  ${path}: ${reason}\n`);
    if (yes !== true) process.stdout.write(`delete them with: npm run models -- prune --stack ${stack} --yes\n`);
  }
}
