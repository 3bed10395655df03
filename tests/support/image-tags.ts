import { execa } from "execa";

/** Where image tags pointed before a test moved them. */
export class ImageTags {
  readonly #before: ReadonlyMap<string, string | undefined>;

  private constructor(before: ReadonlyMap<string, string | undefined>) {
    this.#before = before;
  }

  static async remember(tags: readonly string[]): Promise<ImageTags> {
    const ids = tags.map(async (tag) => {
      const { stdout, exitCode } = await execa("docker", ["image", "inspect", "--format", "{{.Id}}", tag], { reject: false });
      return [tag, exitCode === 0 ? stdout.trim() : undefined] as const;
    });
    return new ImageTags(new Map(await Promise.all(ids)));
  }

  /** Puts each tag back, or takes it away where there was none. */
  async restore(): Promise<void> {
    for (const [tag, id] of this.#before)
      await execa("docker", id === undefined ? ["image", "rm", tag] : ["tag", id, tag], { reject: false });
  }
}

/** Removes the llama.cpp images that were built from this repository, whatever their tags. */
export async function removeImagesOf(repo: string): Promise<void> {
  const filter = `label=org.opencontainers.image.source=${repo}`;
  const { stdout } = await execa("docker", ["image", "ls", "--quiet", "--no-trunc", "--filter", filter]);
  const ids = [...new Set(stdout.split("\n").filter((id) => id !== ""))];
  if (ids.length > 0) await execa("docker", ["image", "rm", "--force", ...ids], { reject: false });
}
