import process from "node:process";
import { runBench } from "../../scripts/bench/run.ts";
import type { BenchRequest } from "../../scripts/bench/request.ts";
import { connectDocker } from "../../scripts/docker/host.ts";

/** Runs a bench in a process of its own, so that a test can kill it. Its request comes as JSON in BENCH_REQUEST. */
const plain = JSON.parse(process.env["BENCH_REQUEST"] ?? "null") as Omit<BenchRequest, "docker" | "expected">;
const request = { ...plain, docker: connectDocker(null), expected: new Map<string, number>() };
const summary = await runBench(request, new AbortController().signal);
process.stdout.write(`${JSON.stringify(summary)}\n`);
