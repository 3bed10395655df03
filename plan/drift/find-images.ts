import { ownedRoles, redeployCommand, short, type Case } from "./case.ts";
import { finding, type Finding } from "./finding.ts";

/** Images that the stack was deployed from and that are gone, or whose tag names another one. What runs keeps its image by id. */
export function findImages({ declared, seen }: Case): Finding[] {
  return declared.images.flatMap(({ urn, tag, id }) => {
    const image = seen.images.find((candidate) => candidate.tag === tag);
    if (image === undefined || (image.isThere && image.taggedId === id)) return [];
    const common = { resource: `image ${tag}`, expected: short(id), fix: redeployCommand(declared.stack) };
    if (!image.isThere)
      return finding("error", {
        ...common,
        kind: "image-gone",
        found: image.taggedId === null ? "no such image, and no such tag" : `no such image; the tag names ${short(image.taggedId)}`,
        consequence: "the container can't be made anew, so a rollback or a repair would fail; building it again takes as long as it took",
        // an image that the provider's refresh misses too is made anew anyway, and can't be named any more
        actions: seen.differences.some((difference) => difference.urn === urn && difference.isGone)
          ? [{ do: "up" }]
          : [{ do: "replace", urns: [urn] }],
      });
    const other = seen.labelled.find(
      ({ stack, role, image: used }) => stack !== declared.stack && ownedRoles.includes(role) && used === image.taggedId,
    );
    if (other !== undefined)
      return finding("note", {
        ...common,
        kind: "image-tag-shared",
        found: `the tag names ${short(other.image)}, which stack ${other.stack} runs`,
        consequence: "stacks of one Docker host share tags, and the last one deployed names them; containers refer to images by id",
        fix: "nothing has to be done",
        actions: [],
      });
    return finding("warning", {
      ...common,
      kind: "image-tag-elsewhere",
      found: image.taggedId === null ? "the tag is gone" : `the tag names ${short(image.taggedId)}`,
      consequence: "nothing that runs is changed, containers refer to images by id; a person who goes by the tag gets another image",
      actions: [{ do: "tag", image: id, tag }],
    });
  });
}
