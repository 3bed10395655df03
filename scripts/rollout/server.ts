import type Docker from "dockerode";
import { pidsLimit } from "../../plan/server-container.ts";

/** Seconds that a server has to stop by itself before it is killed. */
const stopSec = 30;

/** Starts a server's container, with the one limit that the Docker provider has no input for; does nothing to one that runs. */
export async function startServer(container: Docker.Container): Promise<void> {
  await container.update({ PidsLimit: pidsLimit });
  const { State } = await container.inspect();
  if (!State.Running) await container.start();
}

/** Stops a server's container and keeps it, so that its log can be read; does nothing to one that does not run. */
export async function stopServer(container: Docker.Container): Promise<void> {
  const { State } = await container.inspect();
  if (State.Running) await container.stop({ t: stopSec });
}
