/**
 * The policy pack: `pulumi preview --policy-pack policy`. Each rule of `plan/policy/rules.ts` is a mandatory policy for every Docker container of
 * the stack. Named `.mts` because Pulumi's runner compiles a policy's `.ts` with a compiler of its own; this one Node reads by itself.
 * @see docs/security.md
 */
import { PolicyPack, type ResourceValidationPolicy } from "@pulumi/policy";
import type { DeclaredContainer } from "../plan/policy/container.ts";
import { containerRules } from "../plan/policy/rules.ts";

const policies = containerRules.map(({ name, description, check }): ResourceValidationPolicy => ({
  name,
  description,
  validateResource: ({ type, props }, reportViolation) => {
    if (type !== "docker:index/container:Container") return;
    for (const violation of check(props as DeclaredContainer)) reportViolation(violation);
  },
}));

new PolicyPack("llm-server", { policies, enforcementLevel: "mandatory" });
