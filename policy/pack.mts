/**
 * The policy pack: `pulumi preview --policy-pack policy`. Each rule of `plan/policy/rules.ts` is a mandatory policy for every resource of Docker in
 * the stack. Named `.mts` because Pulumi's runner compiles a policy's `.ts` with a compiler of its own; this one Node reads by itself.
 * @see docs/security.md
 */
import { PolicyPack, type ResourceValidationPolicy } from "@pulumi/policy";
import { rules } from "../plan/policy/rules.ts";

const policies = rules.map(({ name, description, check }): ResourceValidationPolicy => ({
  name,
  description,
  validateResource: ({ type, props }, reportViolation) => {
    for (const violation of check({ type, props })) reportViolation(violation);
  },
}));

new PolicyPack("llm-server", { policies, enforcementLevel: "mandatory" });
