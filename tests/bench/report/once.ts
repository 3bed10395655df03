import { join } from "node:path";
import process from "node:process";
import { readReportInput } from "../../../scripts/report/read.ts";
import { writeReport } from "../../../scripts/report/write.ts";

const folder = process.argv[2] ?? "";
await writeReport(await readReportInput({ folder, vramMiB: 16_384, docker: null }), folder, join(folder, "benchmarks"));
