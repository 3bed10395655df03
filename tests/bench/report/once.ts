import { enableCompileCache } from "node:module";
import { join } from "node:path";
import process from "node:process";
import { projectDir } from "../../../scripts/paths.ts";

enableCompileCache(join(projectDir, "node_modules", ".cache", "node")); // as scripts/cli.ts does
const { readReportInput } = await import("../../../scripts/report/read.ts");
const { writeReport } = await import("../../../scripts/report/write.ts");
const folder = process.argv[2] ?? "";
await writeReport(await readReportInput({ folder, vramMiB: 16_384, docker: null }), folder, join(folder, "benchmarks"));
