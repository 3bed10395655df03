import { readdir, readFile, readlink } from "node:fs/promises";
import { connect } from "node:net";
import { basename, resolve } from "node:path";
import { projectDir } from "../paths.ts";
import { describeProcess, endOwner, readStat } from "./owner.ts";

/**
 * Ends plugins that a killed `pulumi` of this project left, and says so. A plugin is started in the project's folder with the address of its CLI as first argument; where
 * nobody listens there any more, it gets nothing to do ever again. Most look every five minutes and leave; the command provider 1.2.1 (Pulumi SDK 3.224) never does: it
 * waits for the end of a context that has none. One whose program still runs is left alone: that may be a gate that puts back what served.
 */
export async function endOrphanPlugins(progress: (line: string) => void): Promise<void> {
  const names = await readdir("/proc").catch(() => []); // another system than Linux has none
  const pids = names.filter((name) => /^\d+$/.test(name)).map(Number);
  const parents = new Set((await Promise.all(pids.map(readStat))).map((stat) => stat?.parent));
  for (const pid of pids) {
    const plugin = await readPlugin(pid);
    if (plugin === undefined || parents.has(pid)) continue;
    const owner = await describeProcess(pid); // before it is asked for: its number may be another's afterwards
    if (!(await isRefused(plugin.host, plugin.port))) continue;
    await endOwner(owner);
    progress(`ended ${plugin.name} (process ${pid}), which a killed pulumi command left`);
  }
}

interface Plugin {
  readonly name: string;
  readonly host: string;
  readonly port: number;
}

/** A plugin that works in this project's folder; undefined where the process is none, is gone, or is another user's. */
async function readPlugin(pid: number): Promise<Plugin | undefined> {
  try {
    const [program = "", address = ""] = (await readFile(`/proc/${pid}/cmdline`, "utf8")).split("\0");
    const name = basename(program);
    const [, host, port] = /^([\d.]+):(\d+)$/.exec(address) ?? [];
    if (!/^pulumi-(resource|language)-/.test(name) || host === undefined) return undefined;
    return resolve(await readlink(`/proc/${pid}/cwd`)) === resolve(projectDir) ? { name, host, port: Number(port) } : undefined;
  } catch {
    return undefined;
  }
}

/** Whether nobody listens at an address. Where that can't be told, somebody may. */
const isRefused = (host: string, port: number): Promise<boolean> =>
  new Promise((done) => {
    const socket = connect({ host, port, timeout: 1_000 });
    const end = (isIt: boolean): void => {
      socket.destroy();
      done(isIt);
    };
    socket
      .on("connect", () => end(false))
      .on("timeout", () => end(false))
      .on("error", (error) => end("code" in error && error.code === "ECONNREFUSED"));
  });
