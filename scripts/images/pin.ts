import { readFile } from "node:fs/promises";
import { Command } from "commander";
import { parseImages } from "../../plan/config/images.ts";
import { repin } from "../../plan/images/pin.ts";
import type { Repin } from "../../plan/images/pin.ts";
import { isFullCommit, resolveRef } from "../../plan/images/remote-refs.ts";
import type { ResolvedRef } from "../../plan/images/remote-refs.ts";
import { writeWhole } from "../files.ts";
import { History, listRemoteRefs } from "./git.ts";

/** File that holds the pins, relative to the project. */
export const imagesFile = "configs/images.yaml";

/**
 * The commit that `ref` names in `repo` today, known to be there.
 * @throws {Error} if the repository can't be reached or has no such ref
 */
export async function resolveRemoteRef(repo: string, ref: string, signal?: AbortSignal): Promise<ResolvedRef> {
  const resolved = resolveRef(await listRemoteRefs(repo, signal), ref);
  if (resolved !== undefined && resolved.commit === ref && isFullCommit(ref)) {
    await using history = await History.open(repo);
    if (await history.has(ref, signal)) return resolved;
  } else if (resolved !== undefined) {
    return resolved;
  }
  throw new Error(`ref: got ${ref}, expected HEAD, a tag, a branch or all 40 digits of a commit in ${repo}`);
}

/**
 * Pins `image` to what `ref` names upstream today and writes `configs/images.yaml`, comments and order kept, by rename. Undefined when the file
 * says so already. Changes nothing else: the new pin is built and gated by the next `pulumi up`.
 */
export async function pinImage(image: string, ref: string, today: string, file = imagesFile): Promise<Repin | undefined> {
  const text = await readFile(file, "utf8");
  const entry = parseImages(text, file)[image];
  // An image that can't be pinned is reported by repin, before any network.
  const resolved =
    entry?.kind === "source" ? await resolveRemoteRef(entry.source.repo, ref) : { commit: "", tag: undefined, build: undefined };
  const change = repin(text, image, resolved, today);
  if (change === undefined) return undefined;
  await writeWhole(file, change.text);
  return change.pin;
}

/** `pin IMAGE [REF]`: the only thing in the project that moves a pin. */
export function pinCommand(): Command {
  return new Command("pin")
    .description("pin an image of configs/images.yaml to what a ref names upstream today")
    .argument("<image>", "name in configs/images.yaml, e.g. latest")
    .argument("[ref]", "HEAD, a tag, a branch (its commit is pinned) or a full commit", "HEAD")
    .option("--json", "print one JSON document")
    .action(async (image: string, ref: string, options: { json?: boolean }) => {
      const change = await pinImage(image, ref, new Date().toISOString().slice(0, 10));
      process.stdout.write(
        `${options.json === true ? JSON.stringify({ image, changed: change !== undefined, ...change }) : describePin(image, change)}\n`,
      );
    });
}

function describePin(image: string, change: Repin | undefined): string {
  if (change === undefined) return `${image} is pinned there already; nothing changed`;
  const build = change.build === undefined ? "build number not known" : `build ${change.build}`;
  return [
    `${image} is pinned to ${change.ref}${change.ref === change.commit ? "" : ` (${change.commit})`}, ${build}; it was ${change.replaces}`,
    "next: pulumi preview shows the release that it makes; pulumi up builds it and promotes it only if it passes its gates",
    `back: npm run pin -- ${image} ${change.replaces}`,
  ].join("\n");
}
