import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { execa } from "execa";
import { cacheDir } from "../../scripts/paths.ts";

/**
 * Two real llama.cpp commits that a package registry holds: the source packages of llama-cpp-python carry a shallow git clone of llama.cpp.
 * `older` is of March 2026, `newer` of October 2026.
 */
export const realCommits = {
  older: { commit: "49bfddeca18e62fa3d39114a23e9fcbdf8a22388", package: "llama-cpp-python==0.3.17" },
  newer: { commit: "0c1e57098bba43ac29e6e3b677cdceebdd22334f", package: "llama-cpp-python==0.3.36" },
} as const;

const modulePath = ".git/modules/vendor/llama.cpp";

/** Fetches one commit out of its source package into a bare repository, which serves it as a branch. */
async function addCommit(repository: string, name: keyof typeof realCommits): Promise<void> {
  const folder = join(cacheDir(), `llama-cpp-${name}`);
  mkdirSync(folder, { recursive: true });
  await execa("python3", ["-m", "pip", "download", "--no-deps", "--no-binary", ":all:", "--dest", folder, realCommits[name].package]);
  const archive = join(folder, `${realCommits[name].package.replaceAll("-", "_").replace("==", "-")}.tar.gz`);
  await execa("tar", ["-xzf", archive, "-C", folder, "--strip-components=1", "--wildcards", `*/${modulePath}`]);
  const clone = join(folder, modulePath);
  // the clone names a work tree that is not unpacked, and git would go there first
  await execa("git", ["config", "--file", join(clone, "config"), "--unset", "core.worktree"]);
  await execa("git", ["config", "--file", join(clone, "config"), "core.bare", "true"]);
  await execa("git", ["--git-dir", repository, "fetch", "-q", "--update-shallow", "--depth", "1", clone, `+HEAD:refs/heads/${name}`]);
  rmSync(folder, { recursive: true });
}

/** A bare repository with both commits, made once and kept in the cache folder. */
export async function llamaRepository(): Promise<string> {
  const repository = join(cacheDir(), "llama.cpp.git");
  if (existsSync(repository)) return repository;
  const part = `${repository}.part`;
  rmSync(part, { recursive: true, force: true });
  await execa("git", ["init", "-q", "--bare", part]);
  await addCommit(part, "older");
  await addCommit(part, "newer");
  renameSync(part, repository);
  return repository;
}

/** A commit on top of `newer` that changes one word in one source file, pushed under a branch of its own; returns it. */
export async function smallChange(repository: string, folder: string): Promise<string> {
  const clone = join(folder, "clone");
  const author = ["-c", "user.name=test", "-c", "user.email=test@example.invalid"];
  await execa("git", ["clone", "-q", "--depth", "1", "--branch", "newer", `file://${repository}`, clone]);
  await execa("sed", ["-i", "s/print usage and exit/print usage, then exit/", "common/arg.cpp"], { cwd: clone });
  await execa("git", [...author, "commit", "-q", "-a", "-m", "small change"], { cwd: clone });
  await execa("git", ["push", "-q", "--force", "origin", "HEAD:refs/heads/small-change"], { cwd: clone });
  return (await execa("git", ["rev-parse", "HEAD"], { cwd: clone })).stdout.trim();
}

/** Commits on top of `newer`, oldest first, the second of which makes each decoding wait; under a branch of their own. The others change a text that nothing reads. */
export async function slowChange(
  repository: string,
  folder: string,
): Promise<{ readonly commits: readonly string[]; readonly culprit: string }> {
  const clone = join(folder, "slow");
  const author = ["-c", "user.name=test", "-c", "user.email=test@example.invalid"];
  const git = async (...args: string[]): Promise<string> => (await execa("git", [...author, ...args], { cwd: clone })).stdout.trim();
  await execa("git", ["clone", "-q", "--depth", "1", "--branch", "newer", `file://${repository}`, clone]);
  const commits: string[] = [];
  for (const step of ["before", "slow", "after", "last"]) {
    const wait = [
      "-i",
      // the server decodes by this, not by llama_decode
      "s/^int llama_context::decode(const llama_batch_ext & .*{$/&\\n    usleep(40000);/; 1i #include <unistd.h>",
      "src/llama-context.cpp",
    ];
    if (step === "slow") await execa("sed", wait, { cwd: clone });
    writeFileSync(join(clone, "AUTHORS"), `${step}\n`);
    await git("commit", "-q", "-a", "-m", step);
    commits.push(await git("rev-parse", "HEAD"));
  }
  await git("push", "-q", "--force", "origin", "HEAD:refs/heads/slow");
  return { commits, culprit: commits[1] ?? "" };
}
