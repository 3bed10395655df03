import { existsSync } from "node:fs";
import { execa } from "execa";

/** Whether Debian packages can be installed here: a Debian or Ubuntu, as root. */
export function canInstall(): boolean {
  return process.getuid?.() === 0 && existsSync("/usr/bin/apt-get");
}

/**
 * Installs Debian packages.
 * @throws {Error} with apt's own last lines
 */
export async function aptInstall(packages: readonly string[]): Promise<void> {
  const env = { DEBIAN_FRONTEND: "noninteractive" };
  // an index past its date is better than none: packages are checked by signature all the same
  await execa("apt-get", ["-q", "-o", "Acquire::Check-Valid-Until=false", "update"], { env });
  await execa("apt-get", ["-q", "install", "-y", "--no-install-recommends", ...packages], { env });
}
