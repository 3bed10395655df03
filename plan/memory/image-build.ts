import type { ImageConfig } from "../config/images.ts";

/** Name of an image's llama.cpp build, as compute tables have it: `b` and the number for a tag `bNNNN` or a Debian package, else the pinned commit. */
export function imageBuild(image: ImageConfig): string {
  if (image.kind === "debian") return `b${image.build}`;
  const { ref, commit } = image.source;
  return /^b\d+$/.test(ref) ? ref : (commit ?? ref);
}
