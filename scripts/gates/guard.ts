import { once } from "node:events";

import { connectDocker, dockerStatus } from "../docker/host.ts";

/**
 * `node guard.ts <docker host, empty for the default> <container id>`: waits for the end of its standard input, which comes when the
 * process that started it ends in whatever way, and removes the container then. A killed gate leaves nothing that holds memory or a GPU.
 */
const [host = "", id = ""] = process.argv.slice(2);
for (const signal of ["SIGINT", "SIGHUP", "SIGTERM"] as const) process.on(signal, () => undefined);
await once(process.stdin.resume(), "end");
try {
  await connectDocker(host === "" ? null : host)
    .getContainer(id)
    .remove({ force: true, v: true });
} catch (error) {
  if (dockerStatus(error) !== 404) throw error;
}
