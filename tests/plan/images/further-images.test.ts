import { describe, expect, it } from "vitest";
import { parseImages } from "../../../plan/config/images.ts";
import { planFurtherImages, planLlamaImage } from "../../../plan/llama-image.ts";
import { planDev, readProjectFile } from "../../support/project.ts";

/* Which images a stack builds beside its own. That one `up` builds both tags: tests/images. */

const images = parseImages(readProjectFile("configs/images.yaml") ?? "");
const asked = { profileImage: "latest", platform: "linux/amd64", file: "Pulumi.x.yaml" };

describe("planFurtherImages", () => {
  it("plans each image as the profile's own is planned, once, and leaves out the profile's own", () => {
    const [fit, ...more] = planFurtherImages(["latest-fit", "latest", "latest-fit"], images, asked);
    expect(more).toEqual([]);
    expect(fit).toEqual({
      name: "latest-fit",
      config: images["latest-fit"],
      plan: planLlamaImage("latest-fit", images["latest-fit"]!, "linux/amd64"),
    });
  });

  it("fails naming every image that there is not, and those there are", () => {
    expect(() => planFurtherImages(["latest", "latst", "toString"], images, asked)).toThrow(
      'Pulumi.x.yaml: images.1: got "latst", expected debian, latest, latest-fit or before-fit; configs/images.yaml has them\n' +
        'Pulumi.x.yaml: images.2: got "toString", expected debian, latest, latest-fit or before-fit; configs/images.yaml has them',
    );
  });
});

describe("planStack", () => {
  const plan = planDev((config) => ({ ...config, images: ["latest", "debian"] }));

  it("makes room for further images, and compares those built from source with upstream", () => {
    expect(plan.furtherImages.map(({ name }) => name)).toEqual(["latest"]);
    expect(plan.pinnedImages).toEqual(["latest"]);
    expect(plan.preflight.room.images).toEqual([
      { tag: "llm-server/llama-cpp:debian", bytes: 2 ** 30 },
      { tag: "llm-server/llama-cpp:latest", bytes: 8 * 2 ** 30 },
    ]);
  });

  it("makes the same release with and without them", () => {
    expect(plan.releaseId).toBe(planDev().releaseId);
  });
});
