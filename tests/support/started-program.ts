/** What tests/scripts/owner.test.ts runs as Pulumi would: prints the owner of its rollout, and what it is told once a process that started it is gone. */
import { setTimeout as sleep } from "node:timers/promises";
import { isStarterThere, rolloutOwner } from "../../scripts/rollout/owner.ts";

process.stdout.write(`${JSON.stringify(await rolloutOwner())}\n`);
while (await isStarterThere()) await sleep(10);
process.stdout.write(`${await rolloutOwner().then(JSON.stringify, String)}\n`);
