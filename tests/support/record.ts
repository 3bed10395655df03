import * as pulumi from "@pulumi/pulumi";

/** A resource as it was registered: its type, name, inputs and parent's URN. */
export interface RecordedResource {
  readonly type: string;
  readonly name: string;
  readonly inputs: Record<string, unknown>;
  readonly custom: boolean;
}

type Outputs = Record<string, unknown>;

/** Outputs that a resource computes by type, given its inputs; what the providers would answer. */
export type ComputedOutputs = Readonly<Record<string, (name: string, inputs: Record<string, unknown>) => Outputs | Promise<Outputs>>>;

/**
 * Builds something under mocks and returns it with every resource that it registered, those that wait on outputs too.
 * A provider function that is called makes the build fail: components call none.
 */
export async function record<T>(
  build: () => T,
  computed: ComputedOutputs,
): Promise<{ readonly built: T; readonly resources: readonly RecordedResource[] }> {
  const resources: RecordedResource[] = [];
  await pulumi.runtime.setMocks(
    {
      newResource: async ({ type, name, inputs, custom }) => {
        const given = inputs as Record<string, unknown>;
        resources.push({ type, name, inputs: given, custom: custom ?? false });
        return { id: `${name}-id`, state: { ...given, ...(await computed[type]?.(name, given)) } };
      },
      call: ({ token }) => {
        throw new Error(`unexpected provider function ${token}`);
      },
    },
    "llm-server",
    "test",
    false,
  );
  const built = build();
  await pulumi.runtime.disconnect(); // waits for every registration, also of children that depend on outputs
  return { built, resources };
}

/** Value of an output, once it is known. */
export function valueOf<T>(output: pulumi.Output<T>): Promise<pulumi.Unwrap<T>> {
  return new Promise((resolve) => void pulumi.output(output).apply((value) => resolve(value)));
}
