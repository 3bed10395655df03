/** One GPU as Docker takes it: its index (no leading zeros: a rollout's lock is named after it) or the driver's id of it. `all` is every GPU. */
export const gpuId = /^(0|[1-9]\d*|(GPU|MIG)-[A-Za-z0-9-]+)$/;

/** Whether a container's `gpus` names each GPU: `device=0,1`, in quotes or not. */
export function namesGpus(gpus: string): boolean {
  const [, , ids] = /^("?)device=([^"]*)\1$/.exec(gpus) ?? [];
  return ids !== undefined && ids.split(",").every((id) => gpuId.test(id));
}
