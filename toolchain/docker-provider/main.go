// Pulumi-resource-docker stands in for the official Docker provider where that can't be downloaded.
//
// Containers, volumes, networks and the rest come from the same Terraform provider and bridge as the official one's; `docker.Image` is written anew.
// The module's name lies below the Terraform provider's so that Go lets it import that provider's `internal` packages.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfbridge"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi/provider"
	rpc "github.com/pulumi/pulumi/sdk/v3/proto/go"

	"github.com/terraform-providers/terraform-provider-docker/pulumi/image"
)

// version is the official provider's version that this binary reports, set by the linker from versions.env.
var version = "0.0.0-dev"

func main() {
	if err := provider.Main("docker", newServer); err != nil {
		fmt.Fprintf(os.Stderr, "pulumi-resource-docker: %v\n", err)
		os.Exit(1)
	}
}

// newServer returns the server for both halves, which share one connection to the Docker engine.
func newServer(host *provider.HostClient) (rpc.ResourceProviderServer, error) {
	info, engine := bridgedProvider()
	bridged := tfbridge.NewProvider(context.Background(), host, info.Name, version, info.P, info, nil)
	return &server{ResourceProviderServer: bridged, images: image.NewResource(engine, host), resources: info.Resources}, nil
}
