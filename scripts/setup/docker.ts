import { spawn } from "node:child_process";
import { existsSync, openSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type Docker from "dockerode";
import { execa } from "execa";
import { connectDocker } from "../docker/host.ts";
import { describeError, log } from "../program.ts";
import { aptInstall, canInstall } from "./apt.ts";

const daemonLog = "/var/log/dockerd.log";
/** Longest wait for a daemon that was just started, seconds. */
const startTimeoutSec = 60;

/**
 * A Docker engine that answers: the one that is there, else Debian's, installed and started.
 * @throws {Error} saying what to install or start, where that can't be done here
 */
export async function setUpDocker(): Promise<Docker> {
  const docker = connectDocker(null);
  const problem = await ping(docker);
  if (problem === undefined) return docker;
  const host = process.env["DOCKER_HOST"];
  if (host !== undefined)
    throw new Error(`no Docker engine answers at DOCKER_HOST=${host}: ${problem}; start it there, or unset DOCKER_HOST`);
  if (problem.includes("EACCES"))
    throw new Error(
      `this user may not use Docker: ${problem}; add it to the group docker: sudo usermod -aG docker "$USER", then log in again`,
    );
  if (!canInstall())
    throw new Error(
      `no Docker engine answers: ${problem}; install and start Docker (https://docs.docker.com/engine/install), then run this again`,
    );
  if (!existsSync("/usr/sbin/dockerd") && !existsSync("/usr/bin/dockerd")) {
    log("setup: Docker: installing Debian's docker.io");
    await aptInstall(["docker.io"]);
  }
  if ((await ping(docker)) !== undefined) await startDaemon();
  await waitForDaemon(docker);
  return docker;
}

async function ping(docker: Docker): Promise<string | undefined> {
  try {
    await docker.ping();
    return undefined;
  } catch (error) {
    return describeError(error);
  }
}

async function startDaemon(): Promise<void> {
  if (existsSync("/run/systemd/system")) {
    log("setup: Docker: systemctl start docker");
    await execa("systemctl", ["start", "docker"]);
    return;
  }
  log(`setup: Docker: starting dockerd, which logs to ${daemonLog}`);
  const output = openSync(daemonLog, "a");
  spawn("dockerd", { detached: true, stdio: ["ignore", output, output] }).unref();
}

async function waitForDaemon(docker: Docker): Promise<void> {
  const deadline = performance.now() + startTimeoutSec * 1000;
  while (performance.now() < deadline) {
    if ((await ping(docker)) === undefined) return;
    await sleep(250);
  }
  const tail = existsSync(daemonLog) ? (await execa("tail", ["-n", "5", daemonLog])).stdout : ((await ping(docker)) ?? "");
  throw new Error(`Docker did not start within ${startTimeoutSec} s:\n${tail}`);
}
