// Pulumi-resource-command stands in for the official Command provider where that can't be downloaded.
// It serves `command:local:Command` and `command:local:run`, nothing else.
package main

import (
	"context"
	"fmt"
	"os"

	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi-go-provider/infer"
	"github.com/pulumi/pulumi-go-provider/middleware/schema"

	"llm-server/toolchain/command-provider/local"
)

// version is the official provider's version that this binary reports, set by the linker from versions.env.
var version = "0.0.0-dev"

// newProvider returns the provider. Its schema is derived from the Go types, and only when the engine asks for it.
func newProvider() p.Provider {
	return infer.Provider(infer.Options{
		Metadata:  schema.Metadata{DisplayName: "Command", Description: "Stand-in for the Pulumi Command provider: local.Command and local.run only."},
		Resources: []infer.InferredResource{infer.Resource(&local.Command{})},
		Functions: []infer.InferredFunction{infer.Function(&local.Run{})},
	})
}

func main() {
	if err := newProvider().Run(context.Background(), "command", version); err != nil {
		fmt.Fprintf(os.Stderr, "pulumi-resource-command: %v\n", err)
		os.Exit(1)
	}
}
