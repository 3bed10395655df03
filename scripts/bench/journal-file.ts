import { createHash } from "node:crypto";
import { mkdir, open, readFile, rm, type FileHandle } from "node:fs/promises";
import { dirname, join } from "node:path";
import process from "node:process";
import { journalLine, readJournal, type JournalEntry, type JournalState } from "../../plan/bench/journal.ts";

/** Whose journals there are: a search benches one profile after the other and must not end what `bench` can go on with. */
export const journalNames = ["bench", "tune"] as const;

/** Path of a journal. */
export const journalOf = (projectDir: string, name: (typeof journalNames)[number]): string =>
  join(projectDir, ".tools", "bench", `${name}.jsonl`);

/** A run's journal on disk: one line an event, each synced before the run goes on. One process writes it at a time. */
export class JournalFile implements AsyncDisposable {
  readonly state: JournalState;
  readonly #file: string;
  #handle: FileHandle;

  private constructor(file: string, handle: FileHandle, state: JournalState) {
    this.#file = file;
    this.#handle = handle;
    this.state = state;
  }

  /** @throws {Error} if another bench that is alive has it */
  static async open(file: string): Promise<JournalFile> {
    await mkdir(dirname(file), { recursive: true });
    await takeLock(lockOf(file));
    const text = await readFile(file, "utf8").catch(() => "");
    const state = readJournal(text);
    const handle = await open(file, "a");
    await handle.truncate(Buffer.byteLength(text.slice(0, text.lastIndexOf("\n") + 1))); // a torn line goes, so that the next one is whole
    return new JournalFile(file, handle, state);
  }

  async append(entry: JournalEntry): Promise<void> {
    await this.#handle.write(journalLine(entry));
    await this.#handle.sync();
  }

  /** Begins an empty journal. */
  async reset(): Promise<void> {
    await this.#handle.close();
    this.#handle = await open(this.#file, "w");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#handle.close();
    await rm(lockOf(this.#file), { force: true });
  }
}

/** One lock for all journals of a folder: they share its work dir. */
const lockOf = (file: string): string => join(dirname(file), "lock");

/** Takes a lock file; one whose process is gone is taken over. */
async function takeLock(file: string): Promise<void> {
  for (let attempt = 0; attempt < 2; attempt++) {
    try {
      const handle = await open(file, "wx");
      await handle.write(String(process.pid));
      await handle.close();
      return;
    } catch (error) {
      if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
      const pid = Number(await readFile(file, "utf8").catch(() => "0"));
      if (pid > 0 && isAlive(pid)) throw new Error(`a bench runs already (process ${pid}); wait for it, or stop it`, { cause: error });
      await rm(file, { force: true });
    }
  }
  throw new Error(`${file}: could not be taken; another bench started at the same moment`);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** Key of what a run was asked for. */
export const requestKey = (value: unknown): string => createHash("sha256").update(JSON.stringify(value)).digest("hex").slice(0, 16);
