import type Docker from "dockerode";
import type { RestartPolicy } from "../../plan/rollout/types.ts";
import { serverPidsLimit } from "../../plan/server-container.ts";

/** Seconds that a server has to stop by itself before it is killed. */
const stopSec = 30;

/** What Docker does with a container that stopped by itself, and after a reboot. */
export async function setRestart(container: Docker.Container, policy: RestartPolicy): Promise<void> {
  await container.update({ RestartPolicy: { Name: policy } });
}

/** Starts a server's container, with the one limit that the Docker provider has no input for; does nothing to one that runs. */
export async function startServer(container: Docker.Container, policy: RestartPolicy): Promise<void> {
  await container.update({ PidsLimit: serverPidsLimit, RestartPolicy: { Name: policy } });
  const { State } = await container.inspect();
  if (!State.Running) await container.start();
}

/** Stops a server's container and keeps it, so that its log can be read; does nothing to one that does not run. */
export async function stopServer(container: Docker.Container): Promise<void> {
  const { State } = await container.inspect();
  if (State.Running || State.Restarting) await container.stop({ t: stopSec });
}
