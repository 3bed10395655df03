import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";

const programs = ["llama-server", "llama-bench", "llama-perplexity", "llama-fit-params", "llama-quantize"] as const;

/** Files of a project that builds in a second and has llama.cpp's target names, its help format and a shared library. */
const cmakeLists = `cmake_minimum_required(VERSION 3.14)
project(stand-in C)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY \${CMAKE_BINARY_DIR}/bin)
set(CMAKE_LIBRARY_OUTPUT_DIRECTORY \${CMAKE_BINARY_DIR}/bin)
add_library(stand-in SHARED speed.c)
foreach(program ${programs.join(" ")})
  add_executable(\${program} main.c)
  target_link_libraries(\${program} stand-in)
endforeach()
`;
const mainC = `#include <stdio.h>
#include <string.h>
int speed(void);
int main(int argc, char **argv) {
  if (argc > 1 && !strcmp(argv[1], "--speed")) { printf("%d\\n", speed()); return 0; }
  puts("----- common params -----\\n");
  puts("-h,    --help, --usage                  print usage and exit");
  puts("-c,    --ctx-size N                     size of the prompt context, e.g. -c 5");
  puts("                                        (env: LLAMA_ARG_CTX_SIZE)");
  puts("--perf, --no-perf                       \\"timings\\" (env: LLAMA_ARG_PERF)");
  return 0;
}
`;

/** A git repository of a tiny project that takes llama.cpp's place; gone when it is disposed of. */
export class StandInRepo implements Disposable {
  readonly path: string;
  readonly #root: string;

  private constructor(root: string) {
    this.#root = root;
    this.path = join(root, "stand-in.git");
  }

  static async create(): Promise<StandInRepo> {
    const repo = new StandInRepo(mkdtempSync(join(tmpdir(), "llm-server-stand-in-")));
    mkdirSync(repo.path);
    await repo.git("init", "-q", "--initial-branch=master");
    await repo.commit({ "CMakeLists.txt": cmakeLists, "main.c": mainC, "speed.c": "int speed(void) { return 100; }\n" }, "first");
    return repo;
  }

  async git(...args: string[]): Promise<string> {
    const author = { GIT_AUTHOR_NAME: "test", GIT_AUTHOR_EMAIL: "test@example.invalid" };
    const committer = { GIT_COMMITTER_NAME: "test", GIT_COMMITTER_EMAIL: "test@example.invalid" };
    return (await execa("git", ["-C", this.path, ...args], { env: { ...author, ...committer } })).stdout;
  }

  /** Commits these files and returns the commit. */
  async commit(files: Readonly<Record<string, string>>, message: string): Promise<string> {
    for (const [name, content] of Object.entries(files)) writeFileSync(join(this.path, name), content);
    await this.git("add", ".");
    await this.git("commit", "-q", "--allow-empty", "-m", message);
    return (await this.git("rev-parse", "HEAD")).trim();
  }

  [Symbol.dispose](): void {
    rmSync(this.#root, { recursive: true, force: true });
  }
}
