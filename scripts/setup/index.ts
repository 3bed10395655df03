import { log } from "../program.ts";
import { setUpBaseImage } from "./base-image.ts";
import { setUpDocker } from "./docker.ts";
import { setUpPulumi, type PulumiSetup } from "./pulumi.ts";
import { readVersions } from "./versions.ts";

/** What set-up found or brought. */
export interface Setup {
  readonly node: string;
  readonly docker: string;
  readonly baseImage: string;
  readonly pulumi: PulumiSetup;
}

/**
 * Everything that stacks need on this machine. What is there is left alone, so a second run takes about a second.
 * Pulumi and Docker are set up side by side: one compiles or downloads while the other installs packages.
 * @throws {Error} saying what could not be had and what to install
 */
export async function setUp(): Promise<Setup> {
  const began = performance.now();
  const bring = async (): Promise<Pick<Setup, "docker" | "baseImage">> => {
    const docker = await setUpDocker();
    const { Version } = await docker.version();
    const baseImage = await setUpBaseImage(docker);
    log(`setup: Docker ${Version}; base image ${baseImage}`);
    return { docker: Version, baseImage };
  };
  const [pulumi, host] = await Promise.all([readVersions().then(setUpPulumi), bring()]);
  const { ways } = pulumi;
  log(
    `setup: Node ${process.versions.node}; Pulumi CLI ${ways.cli}; plugins ${ways.plugins}; done in ${((performance.now() - began) / 1000).toFixed(1)} s`,
  );
  return { node: process.versions.node, ...host, pulumi };
}
