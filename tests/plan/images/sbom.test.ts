/** The bill of materials as a value. That a real image's packages are read is shown with `npm run sbom` in tests/integration/sbom.test.ts. */
import { describe, expect, it } from "vitest";
import { readDistribution, readPackages, spdxDocument } from "../../../plan/images/sbom.ts";

const status = `Package: libssl3t64
Status: install ok installed
Architecture: amd64
Version: 3.5.0-1+b1
Description: TLS
 Version: of the description

Package: removed
Status: deinstall ok config-files
Architecture: amd64
Version: 1
`;

describe("a bill of materials", () => {
  it("lists what is installed and nothing that was removed", () => {
    expect(readPackages(status)).toEqual([{ name: "libssl3t64", version: "3.5.0-1+b1", architecture: "amd64" }]);
  });

  it("fails on a list without an installed package, which would look like a clean image", () => {
    expect(() => readPackages("")).toThrow("/var/lib/dpkg/status: got no installed package, expected those of the image");
  });

  it("fails on a package without a version, naming it", () => {
    expect(() => readPackages("Package: x\nStatus: install ok installed\n")).toThrow("got package x, expected it to have");
  });

  it("reads the distribution, quoted or not", () => {
    expect(["ID=debian\n", 'NAME="x"\nID="ubuntu"\n'].map(readDistribution)).toEqual(["debian", "ubuntu"]);
    expect(() => readDistribution("VERSION_ID=1")).toThrow("got no ID");
  });

  it("names each package by its URL, and the commit of a source build", () => {
    const source = { repo: "https://example.org/llama.cpp", commit: "a".repeat(40) };
    const subject = { image: "llm-server/llama-cpp:latest", imageId: "sha256:12", source, distribution: "debian" };
    expect(spdxDocument(subject, readPackages(status), "2026-11-23T00:00:00.000Z")).toMatchObject({
      spdxVersion: "SPDX-2.3",
      SPDXID: "SPDXRef-DOCUMENT",
      documentNamespace: "https://spdx.org/spdxdocs/llm-server-sha256-12",
      packages: [
        { SPDXID: "SPDXRef-Image", versionInfo: "sha256:12" },
        { SPDXID: "SPDXRef-llama.cpp", downloadLocation: `git+https://example.org/llama.cpp@${"a".repeat(40)}` },
        {
          SPDXID: "SPDXRef-Package-1",
          externalRefs: [{ referenceType: "purl", referenceLocator: "pkg:deb/debian/libssl3t64@3.5.0-1%2Bb1?arch=amd64" }],
        },
      ],
      relationships: [
        { relationshipType: "DESCRIBES" },
        { relatedSpdxElement: "SPDXRef-llama.cpp" },
        { relationshipType: "CONTAINS", relatedSpdxElement: "SPDXRef-Package-1" },
      ],
    });
  });
});
