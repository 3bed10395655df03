import { isLoopback, mayPublish, readAccess } from "../access.ts";
import { gatewayPort } from "../gateway.ts";
import { shown, valuesOf, type DeclaredContainer, type DeclaredNetwork } from "./container.ts";

/** Whether a container's environment is that of a gateway with key and TLS, on every site that it serves. A variable that is given twice says nothing. */
function isGuarded(container: DeclaredContainer, ip: string): boolean {
  const value = (name: string): string | undefined => {
    const values = valuesOf(container, name);
    return values.length === 1 ? values[0] : undefined;
  };
  const sites = (value("GATEWAY_SITES") ?? "").split(/[\s,]+/);
  return sites.every((site) => site.startsWith("https://")) && mayPublish(ip, readAccess(value));
}

/** Ports that others than this host's own users reach. Docker publishes past most host firewalls. */
export function publishedOpenly(container: DeclaredContainer): string[] {
  const { ports = [], publishAllPorts, networkMode = "" } = container;
  return [
    ...ports
      .filter(({ ip = "", internal }) => !isLoopback(ip) && !(internal === gatewayPort && isGuarded(container, ip)))
      .map(
        ({ ip, internal }) =>
          `ports: got port ${internal} on ${ip ?? "every address"}, expected 127.0.0.1 or ::1: only port ${gatewayPort} of a gateway with API key and TLS may listen elsewhere`,
      ),
    ...(publishAllPorts === true ? ["publishAllPorts: got true, expected the ports that are meant, on 127.0.0.1 or ::1"] : []),
    ...(/^(host$|container:)/.test(networkMode)
      ? [`networkMode: got ${shown(networkMode)}, expected a network of the stack: what another one publishes is not judged`]
      : []),
  ];
}

/** Networks whose containers are reached by others without a published port. */
export const reachedDirectly = ({ driver = "bridge" }: DeclaredNetwork): string[] =>
  driver === "bridge" ? [] : [`driver: got ${shown(driver)}, expected bridge: others give containers addresses that other machines reach`];
