/** The bill of materials of a real image. Cannot prove: that what an image holds beside its packages is listed; nothing but the commit of llama.cpp is. */
import Docker from "dockerode";
import { beforeAll, describe, expect, it } from "vitest";
import { readSbom } from "../../scripts/images/sbom.ts";
import { buildTestImage, testImage } from "../support/test-image.ts";

const docker = new Docker();

describe("npm run sbom", () => {
  beforeAll(() => buildTestImage());

  it("lists the packages of an image, and leaves no container", async () => {
    const document = (await readSbom(docker, testImage)) as { packages: { name: string; versionInfo: string }[] };
    expect(document.packages[0]).toMatchObject({ name: testImage, versionInfo: expect.stringMatching(/^sha256:/) as string });
    expect(document.packages.map(({ name }) => name)).toEqual(expect.arrayContaining(["libc6", "llama.cpp-tools", "curl"]));
    const { Id } = await docker.getImage(testImage).inspect();
    expect(
      await docker.listContainers({ all: true, filters: { ancestor: [Id], status: ["created"], label: ["llm-server.role=helper"] } }),
    ).toEqual([]);
  });

  it("fails on an image that is not there", async () => {
    await expect(readSbom(docker, "llm-server-test/none:none")).rejects.toThrow(/no such image/i);
  });
});
