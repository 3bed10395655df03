import { deriveProfile, type ProfileChange } from "../bench/variants.ts";
import { describeJudgement } from "./findings.ts";
import type { Candidate } from "./space.ts";
import type { Trial } from "./search.ts";

/** What a proposal rests on, for its head. */
export interface ProposalEvidence {
  readonly base: string;
  readonly model: string;
  /** Null: the image runs on the CPU. */
  readonly vramMiB: number | null;
  /** Where the speed is from: a result file, or the roofline. */
  readonly source: string;
  readonly isSimulated: boolean;
  readonly date: string;
  readonly trials: readonly Trial[];
  readonly findings: readonly string[];
}

/** Widest line of a head, characters: as the other profiles have it. */
const headWidth = 130;

/** Text of the proposed profile: the base's file with the winner's change, as it was benched, under a head that says what it was chosen by. */
export function proposeProfile(baseText: string, winner: Candidate, speed: number, evidence: ProposalEvidence): string {
  const body = deriveProfile(withoutStaleComments(baseText.replace(/^(#.*\n)+/, ""), winner), winner);
  const how = evidence.isSimulated ? "planned by the roofline, not measured" : "measured";
  const head = [
    `Proposed by npm run tune on ${evidence.date} from ${evidence.base}, for ${evidence.model} on ${evidence.vramMiB === null ? "the CPU" : `${evidence.vramMiB} MiB of VRAM`}.`,
    `${winner.label}: ${speed.toFixed(1)} tok/s ${how} (${evidence.source}); ${describeGpu(winner.gpuMiB)}${winner.verdict}.`,
    ...evidence.findings.map((line) => `${line}.`),
    `Chosen of ${evidence.trials.length} tried:`,
    ...evidence.trials.map(({ candidate, judgement }) => `  ${candidate.label}: ${describeJudgement(judgement)}`),
  ];
  return `${head.flatMap(wrap).join("\n")}\n${body}`;
}

const describeGpu = ({ low, high }: Candidate["gpuMiB"]): string =>
  high === 0 ? "" : `GPU planned ${Math.round(low)} to ${Math.round(high)} MiB, `;

/** A profile's text without the comments of paragraphs in which a value changes or goes: what they say was about the old one. */
function withoutStaleComments(text: string, { set, drop }: ProfileChange): string {
  const changes = (line: string): boolean => {
    const [, key, value] = /^([A-Z_]+)=(.*)$/.exec(line) ?? [];
    return key !== undefined && (set[key] === undefined ? drop.includes(key) : set[key] !== value);
  };
  const paragraphs = text.split(/\n{2,}/).map((paragraph) => paragraph.split("\n"));
  return paragraphs.map((lines) => (lines.some(changes) ? lines.filter((line) => !line.startsWith("#")) : lines).join("\n")).join("\n\n");
}

/** A line as comment lines of bounded width. */
function wrap(text: string): string[] {
  const [indent = ""] = /^ */.exec(text) ?? [];
  const lines: string[] = [];
  let line = indent;
  for (const word of text.trim().split(/\s+/)) {
    if (line.trim() !== "" && line.length + word.length + 3 > headWidth) {
      lines.push(line);
      line = indent;
    }
    line = line.trim() === "" ? `${indent}${word}` : `${line} ${word}`;
  }
  return [...lines, line].map((one) => `# ${one}`);
}
