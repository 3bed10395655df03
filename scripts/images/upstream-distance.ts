import { parseImages } from "../../plan/config/images.ts";
import { describeDistance, upstreamDistance } from "../../plan/images/upstream-distance.ts";
import type { UpstreamDistance } from "../../plan/images/upstream-distance.ts";
import { listRemoteRefs } from "./git.ts";

/** How far one image is behind upstream, with a line for people. */
export interface ImageDistance {
  readonly image: string;
  readonly distance: UpstreamDistance | { readonly state: "unreachable" };
  readonly message: string;
}

/**
 * Distance of an image of `configs/images.yaml` to its repository today. Never fails for lack of a network, and changes nothing: the pin moves by
 * `npm run pin` alone. Undefined for an image that isn't built from source.
 * @throws {Error} if there is no such image
 */
export async function imageDistance(imagesText: string, image: string, signal?: AbortSignal): Promise<ImageDistance | undefined> {
  const images = parseImages(imagesText);
  const entry = images[image];
  if (entry === undefined) throw new Error(`image: got ${image}, expected one of ${Object.keys(images).join(", ")}`);
  if (entry.kind !== "source") return undefined;
  try {
    const distance = upstreamDistance(entry.source, await listRemoteRefs(entry.source.repo, signal));
    return { image, distance, message: describeDistance(image, distance) };
  } catch {
    const message = `image ${image}: ${entry.source.repo} can't be reached, so nobody knows how far the pin is behind; it stays as it is`;
    return { image, distance: { state: "unreachable" }, message };
  }
}
