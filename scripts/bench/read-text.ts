import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { ReadText } from "../../plan/stack-files.ts";

/** Reads files of a copy of the project by their paths in it. */
export const readTextIn =
  (dir: string): ReadText =>
  (path) => {
    try {
      return readFileSync(join(dir, path), "utf8");
    } catch (error) {
      if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
      throw error;
    }
  };
