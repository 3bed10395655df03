/** Which folders of a host control it, by their names alone; where links lead is not looked at. The stack's own folder of models is held to the same. */
import { describe, expect, it } from "vitest";
import { ConfigError } from "../../../plan/config/errors.ts";
import { parseStackConfig } from "../../../plan/config/stack-config.ts";
import { controlsHost } from "../../../plan/policy/host-path.ts";
import { pulumiConfig } from "../../support/project.ts";

const controlling = [
  ...["/", "//", "/run", "/run/", "/run/.", "/var/run", "//var/run", "/srv/../run", "/run/docker", "/run/containerd", "/run/user/1000"],
  ...[
    "/var",
    "/var/lib",
    "/var/lib/docker/volumes",
    "/proc/1/root",
    "/sys",
    "/dev",
    "/etc/docker",
    "/root",
    "/root/.ssh",
    "/srv/podman.sock",
  ],
];
const harmless = [
  "/srv/models",
  "/root/models",
  "/var/lib/models",
  "/home/me/models",
  "/runs",
  "/etcetera",
  "/mnt/dev",
  "/var/lib/docker-models",
];

describe("controlsHost", () => {
  it.each(controlling)("knows %s", (path) => {
    expect(controlsHost(path)).toBe(true);
  });

  it.each(harmless)("lets %s", (path) => {
    expect(controlsHost(path)).toBe(false);
  });

  it("takes a relative path from the root, as the engine does", () => {
    expect(["var/run", "../run", "srv"].map(controlsHost)).toEqual([true, true, false]);
  });
});

describe("a stack's settings", () => {
  const parse = (changes: Readonly<Record<string, object>>) =>
    parseStackConfig("dev", {
      ...pulumiConfig("dev"),
      ...Object.fromEntries(Object.entries(changes).map(([key, value]) => [`llm-server:${key}`, JSON.stringify(value)])),
    });

  it.each(harmless)("take %s for models", (path) => {
    expect(parse({ models: { path } }).models.path).toBe(path);
  });

  it.each(controlling)("fail on %s for models", (path) => {
    expect(() => parse({ models: { path } })).toThrow(
      `Pulumi.dev.yaml: models.path: got "${path}", expected a folder of models: not one that the host is controlled by, and none that holds one; write an allowed value`,
    );
    expect(() => parse({ models: { path } })).toThrow(ConfigError);
  });

  it.each(["0", "12", "GPU-1b2c-3d", "MIG-1b2c-3d"])("take GPU %s", (id) => {
    expect(parse({ device: { memoryMiB: 2048, gpus: [id] } }).device.gpus).toEqual([id]);
  });

  it.each(["all", "none", "00", "GPU-", "0,1", "gpu0"])("fail on GPU %s", (id) => {
    expect(() => parse({ device: { memoryMiB: 2048, gpus: [id] } })).toThrow(
      `Pulumi.dev.yaml: device.gpus.0: got "${id}", expected a GPU index or UUID (0, GPU-…, MIG-…); write an allowed value`,
    );
  });
});
