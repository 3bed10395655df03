/** One package of an image, as its package manager records it. */
export interface ImagePackage {
  readonly name: string;
  readonly version: string;
  readonly architecture: string;
}

/** What a bill of materials is made for. */
export interface SbomSubject {
  /** Tag or id that the image was asked for by. */
  readonly image: string;
  /** `sha256:…`. */
  readonly imageId: string;
  /** Commit of llama.cpp that the image was built from; undefined for images of packages only. */
  readonly source?: { readonly repo: string; readonly commit: string } | undefined;
  /** Distribution, as its os-release names it, e.g. `debian`. */
  readonly distribution: string;
}

/** Where Debian and Ubuntu keep the list of installed packages. */
export const packagesPath = "/var/lib/dpkg/status";
/** What names the distribution; `/etc/os-release` is a link to it. */
export const osReleasePath = "/usr/lib/os-release";

/**
 * Installed packages from the text of {@link packagesPath}, in its order.
 * @throws {Error} naming a package without version or architecture, and where no package is installed: an empty bill of materials would look like a clean one
 */
export function readPackages(status: string): ImagePackage[] {
  const packages = status.split(/\n{2,}/).flatMap((stanza) => {
    const field = (key: string): string | undefined => new RegExp(`^${key}: (.+)$`, "m").exec(stanza)?.[1];
    const [name, version, architecture] = [field("Package"), field("Version"), field("Architecture")];
    if (field("Status") !== "install ok installed") return [];
    if (name === undefined || version === undefined || architecture === undefined)
      throw new Error(`${packagesPath}: got package ${name ?? "without name"}, expected it to have a name, a version and an architecture`);
    return [{ name, version, architecture }];
  });
  if (packages.length === 0) throw new Error(`${packagesPath}: got no installed package, expected those of the image`);
  return packages;
}

/** Distribution from the text of {@link osReleasePath}. @throws {Error} if it names none */
export function readDistribution(osRelease: string): string {
  const id = /^ID="?([\w.-]+)"?$/m.exec(osRelease)?.[1];
  if (id === undefined) throw new Error(`${osReleasePath}: got no ID, expected one such as debian`);
  return id;
}

const encode = encodeURIComponent;

/**
 * A bill of materials in SPDX 2.3 (JSON): the image, each of its packages with a package URL, and the commit of llama.cpp where the image was built from source.
 * What it can't know is NOASSERTION: licences, and where each package was downloaded from.
 * @see https://spdx.github.io/spdx-spec/v2.3/
 */
export function spdxDocument(subject: SbomSubject, packages: readonly ImagePackage[], created: string): object {
  const { image, imageId, source, distribution } = subject;
  const unknown = { filesAnalyzed: false, licenseConcluded: "NOASSERTION", licenseDeclared: "NOASSERTION", copyrightText: "NOASSERTION" };
  const reference = (locator: string) => [{ referenceCategory: "PACKAGE-MANAGER", referenceType: "purl", referenceLocator: locator }];
  const parts = packages.map(({ name, version, architecture }, index) => ({
    SPDXID: `SPDXRef-Package-${index + 1}`,
    name,
    versionInfo: version,
    downloadLocation: "NOASSERTION",
    ...unknown,
    externalRefs: reference(`pkg:deb/${distribution}/${encode(name)}@${encode(version)}?arch=${encode(architecture)}`),
  }));
  const built =
    source === undefined
      ? []
      : [
          {
            SPDXID: "SPDXRef-llama.cpp",
            name: "llama.cpp",
            versionInfo: source.commit,
            downloadLocation: `git+${source.repo}@${source.commit}`,
            ...unknown,
          },
        ];
  return {
    spdxVersion: "SPDX-2.3",
    dataLicense: "CC0-1.0",
    SPDXID: "SPDXRef-DOCUMENT",
    name: image,
    documentNamespace: `https://spdx.org/spdxdocs/llm-server-${imageId.replace(":", "-")}`,
    creationInfo: { created, creators: ["Tool: llm-server"] },
    packages: [
      { SPDXID: "SPDXRef-Image", name: image, versionInfo: imageId, downloadLocation: "NOASSERTION", ...unknown },
      ...built,
      ...parts,
    ],
    relationships: [
      { spdxElementId: "SPDXRef-DOCUMENT", relationshipType: "DESCRIBES", relatedSpdxElement: "SPDXRef-Image" },
      ...[...built, ...parts].map(({ SPDXID }) => ({
        spdxElementId: "SPDXRef-Image",
        relationshipType: "CONTAINS",
        relatedSpdxElement: SPDXID,
      })),
    ],
  };
}
